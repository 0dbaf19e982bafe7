package console_test

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is openapi.json as a judge of answers. Its objects are closed: a member that is not described fails.
type description struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
}

const descriptionURL = "https://pairsync.example/v1/openapi.json"

func loadDescription(tb testing.TB) *description {
	tb.Helper()
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		tb.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		tb.Fatal(err)
	}
	closeObjects(doc)
	d := &description{doc: doc.(map[string]any), compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(descriptionURL, doc); err != nil {
		tb.Fatal(err)
	}
	return d
}

// closeObjects forbids members that are not described in every schema that describes some.
func closeObjects(node any) {
	switch v := node.(type) {
	case map[string]any:
		_, isSchema := v["type"]
		_, describes := v["properties"].(map[string]any)
		if _, decided := v["additionalProperties"]; isSchema && describes && !decided {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

func escapePointer(token string) string {
	return url.PathEscape(strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1"))
}

// validate checks raw against the schema that the tokens lead to.
func (d *description) validate(tb testing.TB, raw []byte, tokens ...string) error {
	tb.Helper()
	pointer := ""
	for _, token := range tokens {
		pointer += "/" + escapePointer(token)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	schema, err := d.compiler.Compile(descriptionURL + "#" + pointer)
	if err != nil {
		tb.Fatalf("schema %s: %v", pointer, err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return schema.Validate(instance)
}

// path finds the path template that a request's path belongs to.
func (d *description) path(escaped string) (template string, ok bool) {
	segments := strings.Split(escaped, "/")
	for template := range d.doc["paths"].(map[string]any) {
		want := strings.Split(template, "/")
		same := len(want) == len(segments)
		for i := 0; same && i < len(want); i++ {
			same = want[i] == segments[i] || strings.HasPrefix(want[i], "{") && segments[i] != ""
		}
		if same {
			return template, true
		}
	}
	return "", false
}

// conforms fails the test when an answer is not as described: its status, its content type, or its body. Answers to what isn't
// described at all must be problems.
func (d *description) conforms(tb testing.TB, method string, u *url.URL, res *http.Response, body []byte) {
	tb.Helper()
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	template, _ := d.path(u.EscapedPath())
	item, _ := d.doc["paths"].(map[string]any)[template].(map[string]any)
	operation, _ := item[strings.ToLower(method)].(map[string]any)
	if operation == nil {
		if method == http.MethodOptions && res.StatusCode == http.StatusNoContent || method == http.MethodHead {
			return
		}
		d.problem(tb, method, u, res, media, body)
		return
	}
	status := strconv.Itoa(res.StatusCode)
	responses := operation["responses"].(map[string]any)
	response, _ := responses[status].(map[string]any)
	if response == nil {
		tb.Errorf("%s %s: status %s is not described", method, template, status)
		return
	}
	tokens := []string{"paths", template, strings.ToLower(method), "responses", status}
	if ref, _ := response["$ref"].(string); ref != "" {
		tokens = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		response = d.doc["components"].(map[string]any)["responses"].(map[string]any)[tokens[2]].(map[string]any)
	}
	if _, described := response["content"].(map[string]any)[media]; !described {
		tb.Errorf("%s %s: %s with content type %q is not described", method, template, status, media)
		return
	}
	if media == "text/event-stream" {
		return
	}
	if err := d.validate(tb, body, append(tokens, "content", media, "schema")...); err != nil {
		tb.Errorf("%s %s: the %s answer is not as described: %v\n%s", method, template, status, err, body)
	}
	if res.StatusCode >= 400 {
		d.problem(tb, method, u, res, media, body)
	}
}

// problem fails the test unless the answer is a problem document that agrees with its status.
func (d *description) problem(tb testing.TB, method string, u *url.URL, res *http.Response, media string, body []byte) {
	tb.Helper()
	if media != "application/problem+json" {
		tb.Errorf("%s %s: %d has content type %q, want a problem", method, u.Path, res.StatusCode, media)
		return
	}
	if err := d.validate(tb, body, "components", "schemas", "Problem"); err != nil {
		tb.Errorf("%s %s: the problem is not as described: %v\n%s", method, u.Path, err, body)
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != res.StatusCode {
		tb.Errorf("%s %s: the problem says %d, the answer %d", method, u.Path, p.Status, res.StatusCode)
	}
	if strings.Contains(p.Detail, "\n") || p.Detail == "" || p.Title == "" {
		tb.Errorf("%s %s: the problem's detail is not one line: %q", method, u.Path, p.Detail)
	}
}

func TestDescriptionIsValidOpenAPI(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Error(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("version %s, want 3.1", doc.OpenAPI)
	}
}

func TestDescriptionJudges(t *testing.T) {
	t.Parallel()
	d := loadDescription(t)
	good := `{"items":[],"next_cursor":null}`
	if err := d.validate(t, []byte(good), "components", "schemas", "SessionPage"); err != nil {
		t.Errorf("a good page: %v", err)
	}
	for _, bad := range []string{`{"items":[]}`, `{"items":[],"next_cursor":3}`, `{"items":[],"next_cursor":null,"more":1}`, `{"items":[{}],"next_cursor":null}`} {
		if err := d.validate(t, []byte(bad), "components", "schemas", "SessionPage"); err == nil {
			t.Errorf("%s passes", bad)
		}
	}
}
