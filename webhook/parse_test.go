package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// texts are an item's fields for comparison.
func (it *item) texts() []string {
	return []string{
		string(it.subscriptionID), string(it.tenantID), string(it.clientState), string(it.changeType), string(it.lifecycleEvent),
		string(it.resource), string(it.eventID), string(it.etag), fmt.Sprint(it.notObject),
	}
}

func parse(tb testing.TB, body []byte, maxItems int) ([][]string, error) {
	tb.Helper()
	p := newParsers(maxItems).get()
	items, err := p.collection(body)
	if err != nil {
		return nil, err
	}
	all := make([][]string, 0, len(items))
	for i := range items {
		all = append(all, items[i].texts())
	}
	return all, nil
}

func TestParseReadsWhatGraphSends(t *testing.T) {
	t.Parallel()
	got, err := parse(t, []byte(collection(change("cs", "Ev-1", "DwAA"), lifecycle("cs", "missed"))), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{testSubscription, testTenant, "cs", "updated", "", "Users/" + testMailbox + "/Events/Ev-1", "Ev-1", `W/"DwAA"`, "false"},
		{testSubscription, testTenant, "cs", "", "missed", "", "", "", "false"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseTolerates(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want []string // client states
	}{
		"empty":                   {`{"value":[]}`, nil},
		"space":                   {" \r\n{ \"value\" :\t[ { \"clientState\" : \"a\" } ] } \n", []string{"a"}},
		"unknown members":         {`{"@odata.context":"x","validationTokens":["t"],"value":[{"new":{"deep":[1,{"a":null}]},"clientState":"a"}],"n":1e9}`, []string{"a"}},
		"null members":            {`{"value":[{"clientState":null,"resourceData":null,"subscriptionId":null}]}`, []string{""}},
		"other types":             {`{"value":[{"clientState":5,"resourceData":[1],"tenantId":{"clientState":"b"}}]}`, []string{""}},
		"repeated, last counts":   {`{"value":[{"clientState":"a","clientState":"b"}]}`, []string{"b"}},
		"repeated, last is other": {`{"value":[{"clientState":"a","clientState":null}]}`, []string{""}},
		"escaped":                 {`{"val\u0075e":[{"client\u0053tate":"\u0061\/\"\ud83d\ude00"}]}`, []string{`a/"😀`}},
		"no objects":              {`{"value":[1,"x",null,[{}],true,{"clientState":"a"}]}`, []string{"", "", "", "", "", "a"}},
		"capitalised":             {`{"value":[{"ClientState":"a","ChangeType":"Missed"}]}`, []string{""}},
		"nested value is no item": {`{"other":{"value":[{"clientState":"x"}]},"value":[{"clientState":"a"}]}`, []string{"a"}},
		"resourceData's own state": {
			`{"value":[{"resourceData":{"clientState":"x","resourceData":{"id":"y"}},"clientState":"a"}]}`, []string{"a"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, []byte(tt.body), 10)
			if err != nil {
				t.Fatal(err)
			}
			states := make([]string, 0, len(got))
			for _, it := range got {
				states = append(states, it[2])
			}
			if diff := cmp.Diff(tt.want, states, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := map[string]struct {
		body string
		want error // nil: any
	}{
		"nothing":             {"", nil},
		"space only":          {"  ", nil},
		"garbage":             {"\x00\xff\x00", nil},
		"an array":            {"[]", errNotCollection},
		"a string":            {`"value"`, errNotCollection},
		"no value":            {`{}`, errNotCollection},
		"capital Value":       {`{"Value":[]}`, errNotCollection},
		"value null":          {`{"value":null}`, errNotCollection},
		"value object":        {`{"value":{}}`, errNotCollection},
		"value twice":         {`{"value":[],"value":[]}`, errNotCollection},
		"two texts":           {`{"value":[]}{"value":[]}`, errNotCollection},
		"trailing garbage":    {`{"value":[]}x`, errNotCollection},
		"cut short":           {`{"value":[{"clientState":"a"`, nil},
		"cut after the items": {`{"value":[{"clientState":"a"}]`, nil},
		"missing comma":       {`{"value":[{}] "a":1}`, nil},
		"comment":             {`{"value":[ // x` + "\n" + `]}`, nil},
		"bad escape":          {`{"value":[{"clientState":"\x"}]}`, nil},
		"lone surrogate":      {`{"value":[{"clientState":"\ud800"}]}`, nil},
		"invalid utf-8":       {"{\"value\":[{\"clientState\":\"\xff\"}]}", nil},
		"bad utf-8, skipped":  {"{\"value\":[{\"other\":\"\xff\"}]}", nil},
		"control character":   {"{\"value\":[{\"clientState\":\"a\nb\"}]}", nil},
		"byte order mark":     {"\xef\xbb\xbf" + `{"value":[]}`, nil},
		"bare members":        {`"value":[{}]`, errNotCollection},
		"deep, skipped":       {`{"x":` + nest(40) + `,"value":[]}`, errNotCollection},
		"deep in an item":     {`{"value":[{"x":` + nest(40) + `}]}`, errNotCollection},
		"deep as an item":     {`{"value":[` + nest(40) + `]}`, errNotCollection},
		"deep, not closed":    {`{"value":[{"resourceData":` + strings.Repeat(`{"resourceData":`, 100_000), nil},
		"too many":            {`{"value":[` + strings.Repeat("{},", 10) + `{}]}`, errTooManyItems},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, []byte(tt.body), 10)
			if err == nil {
				t.Fatalf("parsed as %v", got)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParsePublishedPayloads(t *testing.T) {
	t.Parallel()
	read := 0
	for name, data := range fixtures(t, "*.json") {
		if !strings.HasPrefix(name, "notif-") && !strings.HasPrefix(name, "lifecycle-") {
			continue
		}
		items, err := parse(t, data, 10)
		whole := bytes.Contains(data, []byte(`"value"`)) // others are examples of a part
		if (err == nil) != whole {
			t.Errorf("%s: %d items, error %v", name, len(items), err)
		}
		read += len(items)
	}
	if read < 5 {
		t.Errorf("read %d items in all", read)
	}
	for name, data := range fixtures(t, "notif-*.raw.txt") {
		if _, err := parse(t, data, 10); err == nil {
			t.Errorf("%s: parsed, though it is not JSON", name)
		}
	}
}

func TestParserForgetsThePostBefore(t *testing.T) {
	t.Parallel()
	ps := newParsers(10)
	p := ps.get()
	if _, err := p.collection([]byte(collection(change("cs", "Ev-1", "DwAA")))); err != nil {
		t.Fatal(err)
	}
	if _, err := p.collection([]byte(`{"value":[{"clientState":`)); err == nil {
		t.Fatal("half a post was parsed")
	}
	items, err := p.collection([]byte(`{"value":[{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(new(item).texts(), items[0].texts()); diff != "" {
		t.Error(diff)
	}
	ps.put(p)
}

// TestParseMemoryIsFlat feeds the worst that fits into a post: what it allocates must not grow with what is not read.
func TestParseMemoryIsFlat(t *testing.T) {
	const size = 4 << 20
	fill := func(unit, head, tail string) []byte {
		return []byte(head + strings.Repeat(unit, size/len(unit)) + tail)
	}
	for name, body := range map[string][]byte{
		"numbers":     fill("0,", `{"x":[`, `0],"value":[]}`),
		"objects":     fill("{},", `{"x":[`, `{}],"value":[]}`),
		"members":     fill(`"a":1,`, `{"x":{`, `"a":1},"value":[]}`),
		"one string":  fill("a", `{"x":"`, `","value":[]}`),
		"deep":        fill("[", `{"x":`, ``),
		"deep object": fill(`{"a":`, ``, ``),
		"items":       fill("{},", `{"value":[`, `{}]}`),
		"garbage":     fill("\x00\x17}", ``, ``),
	} {
		ps := newParsers(10_000)
		p := ps.get()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = p.collection(body)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d KiB allocated for a body of %d KiB", name, used>>10, len(body)>>10)
		}
	}
}

// oracle reads a collection with encoding/json; ok is false where it is none.
func oracle(body []byte) (all [][]string, ok bool) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return nil, false
	}
	var values []any
	raw := bytes.TrimSpace(top["value"])
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &values) != nil {
		return nil, false
	}
	for _, v := range values {
		m, isObject := v.(map[string]any)
		data, _ := m["resourceData"].(map[string]any)
		text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
		all = append(all, []string{
			text(m, "subscriptionId"), text(m, "tenantId"), text(m, "clientState"), text(m, "changeType"), text(m, "lifecycleEvent"),
			text(m, "resource"), text(data, "id"), text(data, "@odata.etag"), fmt.Sprint(!isObject),
		})
	}
	return all, true
}

// FuzzParse holds the parser to encoding/json: what it accepts is JSON and reads the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		collection(change("cs", "Ev-1", "DwAA"), lifecycle("cs", "missed")),
		`{"value":[]}`, `{"value":[{"clientState":"\u0061","resourceData":{"id":"x"}},5]}`, `{"value":[{"a":[[[[]]]]}],"b":{"c":1}}`,
		`{"value":[{"clientState":"a","clientState":null}]} `, `{"value":`, `[]`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parse(t, body, 100)
		want, ok := oracle(body)
		switch {
		case err == nil && !ok:
			t.Fatalf("accepted what encoding/json refuses: %q", body)
		case err == nil && !cmp.Equal(got, want) && len(got)+len(want) > 0:
			t.Fatalf("%q: %s", body, cmp.Diff(want, got))
		case err != nil && ok && utf8.Valid(body) && len(want) <= 100 && !bytes.ContainsAny(body, `\`) &&
			bytes.Count(body, []byte("value")) == 1 && bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxDepth:
			t.Fatalf("refused %q: %v", body, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1, 20} {
		items := make([]string, n)
		for i := range items {
			items[i] = change(strings.Repeat("c", 84), testEvent, fmt.Sprintf("DwAAABYAAAB%08d", i))
		}
		body := []byte(collection(items...))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ps := newParsers(10_000)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				p := ps.get()
				if items, err := p.collection(body); err != nil || len(items) != n {
					b.Fatal(len(items), err)
				}
				ps.put(p)
			}
		})
	}
}
