package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// batch sends requests together and returns the answers by id, and the order in which they came.
func (o *office) batch(t *testing.T, requests ...map[string]any) (answers map[string]map[string]any, order []string) {
	t.Helper()
	for i, r := range requests {
		if r["id"] == nil {
			r["id"] = fmt.Sprint(i)
		}
	}
	answers = map[string]map[string]any{}
	for _, v := range o.graph(t, 200, http.MethodPost, "/$batch", map[string]any{"requests": requests})["responses"].([]any) {
		r := v.(map[string]any)
		answers[text(t, r, "id")] = r
		order = append(order, text(t, r, "id"))
	}
	return answers, order
}

func get(path string) map[string]any {
	return map[string]any{"method": "GET", "url": path, "headers": map[string]any{"Prefer": `IdType="ImmutableId"`}}
}

func TestBatchAnswersEachByItself(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	path := "/users/" + b.Mailbox + "/events/" + b.ID
	o.AddFault(Fault{Operation: "get_event", Times: 1, Status: 429, RetryAfter: "2.128", Event: b.Copies[email("Grace")]})
	answers, _ := o.batch(t,
		get(path+"?$select=subject"), get("/users/"+b.Mailbox+"/events/nope"),
		get("/users/"+o.id(t, email("Grace"))+"/events/"+b.Copies[email("Grace")]),
		map[string]any{"method": "PATCH", "url": path, "body": map[string]any{"subject": "Patched"}, "headers": map[string]any{"Content-Type": "application/json"}},
		map[string]any{"method": "POST", "url": "/$batch", "body": map[string]any{"requests": []any{}}},
	)
	for id, status := range map[string]float64{"0": 200, "1": 404, "2": 429, "3": 200, "4": 400} {
		if answers[id]["status"] != status {
			t.Errorf("request %s: %v, want %v", id, answers[id], status)
		}
	}
	if text(t, answers["0"], "body", "id") != b.ID {
		t.Errorf("body %v", answers["0"]["body"])
	}
	if text(t, answers["2"], "headers", "Retry-After") != "2.128" || code(answers["2"]["body"].(map[string]any)) != "TooManyRequests" {
		t.Errorf("throttled item %v", answers["2"])
	}
}

func TestBatchAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Seed: 3})
	var requests []map[string]any
	for range maxBatch {
		requests = append(requests, get("/users/"+email("Ada")))
	}
	answers, order := o.batch(t, requests...)
	if len(answers) != maxBatch {
		t.Fatalf("%d answers", len(answers))
	}
	if slices.IsSortedFunc(order, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("the answers came in order: %v", order)
	}
}

func TestBatchIsWorkedOnFourAtATime(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Latency: 100 * time.Millisecond})
	b := o.pair(t)
	var requests []map[string]any
	for range 8 {
		requests = append(requests, get("/users/"+b.Mailbox+"/events/"+b.ID))
	}
	answers, _ := o.batch(t, requests...)
	for id, a := range answers {
		if a["status"] != float64(200) {
			t.Errorf("request %s: %v", id, a)
		}
	}
	if most := o.Counters().MostConcurrent[b.Mailbox]; most > batchLanes || most < 2 {
		t.Errorf("%d at a time, want up to %d", most, batchLanes)
	}
}

func TestBatchWithDependencies(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	good := get("/users/" + b.Mailbox + "/events/" + b.ID)
	after := func(id string, r map[string]any) map[string]any {
		return map[string]any{"method": r["method"], "url": r["url"], "dependsOn": []string{id}}
	}
	answers, _ := o.batch(t, get("/users/"+b.Mailbox+"/events/nope"), after("0", good), after("1", good), good, after("3", good))
	for id, status := range map[string]float64{"0": 404, "1": 424, "2": 424, "3": 200, "4": 200} {
		if answers[id]["status"] != status {
			t.Errorf("request %s: %v, want %v", id, answers[id]["status"], status)
		}
	}
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	many := make([]map[string]any, maxBatch+1)
	for i := range many {
		many[i] = map[string]any{"id": fmt.Sprint(i), "method": "GET", "url": "/users"}
	}
	tests := map[string]any{
		"too many":           map[string]any{"requests": many},
		"none":               map[string]any{"requests": []any{}},
		"same id":            map[string]any{"requests": []any{many[0], many[0]}},
		"no url":             map[string]any{"requests": []any{map[string]any{"id": "1", "method": "GET"}}},
		"unknown dependency": map[string]any{"requests": []any{map[string]any{"id": "1", "method": "GET", "url": "/users", "dependsOn": []string{"7"}}}},
		"unknown method":     map[string]any{"requests": []any{map[string]any{"id": "1", "method": "BREW ME", "url": "/users"}}},
		"no JSON":            "{",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.graph(t, 400, http.MethodPost, "/$batch", body)
		})
	}
	answers, _ := o.batch(t, map[string]any{"method": "GET", "url": "/users/%zz"},
		map[string]any{"method": "GET", "url": "/../simulator/tenants"})
	for id, a := range answers {
		if s := a["status"].(float64); s < 400 || s > 499 {
			t.Errorf("request %s: %v", id, a)
		}
	}
}

func TestLostAnswerInsideABatch(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	o.AddFault(Fault{Operation: "create_event", Lost: true, Times: 1})
	answers, _ := o.batch(t, map[string]any{
		"method": "POST", "url": o.events(t, "Ada"), "body": draft("Lost"), "headers": map[string]any{"Content-Type": "application/json"},
	})
	if answers["0"]["status"] != float64(504) {
		t.Errorf("answer %v", answers["0"])
	}
	if got := o.graph(t, 200, http.MethodGet, o.events(t, "Ada")+"?$select="+url.QueryEscape("subject"), nil)["value"].([]any); len(got) != 1 {
		t.Errorf("what was asked was not done: %v", got)
	}
}
