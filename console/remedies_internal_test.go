package console

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"pairsync/internal/graph"
	"pairsync/model"
)

// graphReasons are all reasons that Graph's client gives, read from its source so that a new one isn't forgotten here.
func graphReasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/graph/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			word, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, word)
		}
		return true
	})
	if len(reasons) < 30 {
		t.Fatalf("only %d reasons were found", len(reasons))
	}
	return reasons
}

// TestEveryReasonHasARemedy wants a sentence of its own for whatever can keep a calendar from being read.
func TestEveryReasonHasARemedy(t *testing.T) {
	t.Parallel()
	// These are of writes, subscriptions and events, which no step tries.
	elsewhere := map[string]bool{
		graph.ReasonExistsAlready: true, graph.ReasonChangedMeanwhile: true, graph.ReasonSyncStateLost: true, graph.ReasonLifetimeTooLong: true,
		graph.ReasonHandshakeFailed: true, graph.ReasonInvalidRequest: true, graph.ReasonBookedAlready: true,
	}
	otherwise := remedy("", stepRead)
	for _, reason := range graphReasons(t) {
		for _, at := range []step{stepToken, stepUser, stepMailbox, stepRead, stepFreeBusy} {
			got := remedy(reason, at)
			if !strings.HasSuffix(got, ".") || strings.Contains(got, "  ") {
				t.Errorf("%s at %s: %q is no sentence", reason, at, got)
			}
			if got == otherwise && !elsewhere[reason] {
				t.Errorf("%s at %s has no remedy of its own", reason, at)
			}
		}
	}
}

func TestTroubleOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want string
	}{
		{&graph.Error{Kind: graph.KindMailbox, Reason: graph.ReasonNoMailbox}, "no_mailbox"},
		{context.DeadlineExceeded, "timeout"},
		{errNobodyAsked, "not_tried"},
		{errors.New("anything"), "not_tried"},
	} {
		if got := troubleOf(tc.err, stepRead); got.Reason != tc.want || got.Remedy == "" {
			t.Errorf("%v: %+v, want %s", tc.err, got, tc.want)
		}
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	const tenant = "11111111-aaaa-4bbb-8ccc-000000000001"
	ada := model.Participant{Tenant: tenant, Email: "Ada@contoso.example"}
	known := ada
	known.MailboxID = "id-of-ada"
	domain := ada
	domain.Tenant = "contoso.example"
	for name, tc := range map[string]struct {
		person graph.SignIn
		of     model.Participant
		want   bool
	}{
		"by name":                      {graph.SignIn{Tenant: tenant, User: "u", Name: "ada@CONTOSO.example"}, ada, true},
		"by id":                        {graph.SignIn{Tenant: tenant, User: "ID-of-ada", Name: "another@contoso.example"}, known, true},
		"another person":               {graph.SignIn{Tenant: tenant, User: "u", Name: "grace@contoso.example"}, known, false},
		"her name in another tenant":   {graph.SignIn{Tenant: "22222222-aaaa-4bbb-8ccc-000000000002", User: "u", Name: ada.Email}, ada, false},
		"nobody":                       {graph.SignIn{Tenant: tenant, Name: ada.Email}, ada, false},
		"a tenant known by its domain": {graph.SignIn{Tenant: tenant, User: "u", Name: ada.Email}, domain, true},
		"no id and no name":            {graph.SignIn{Tenant: tenant, User: "u"}, model.Participant{Tenant: tenant}, false},
	} {
		if got := owns(tc.person, tc.of); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMissingScopes(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]int{
		"": 0, "Calendars.ReadWrite MailboxSettings.Read": 0, "openid https://graph.microsoft.com/calendars.readwrite https://graph.microsoft.com/MailboxSettings.Read": 0,
		"Calendars.Read MailboxSettings.Read": 1, "openid profile": 2,
	} {
		if got := missingScopes(strings.Fields(given)); len(got) != want {
			t.Errorf("%q: %v are missing, want %d", given, got, want)
		}
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"ada@contoso.example": "a…@contoso.example", "élodie@contoso.example": "é…@contoso.example", "nobody": "another person", "@contoso.example": "another person",
	} {
		if got := masked(given); got != want {
			t.Errorf("%q is shown as %q", given, got)
		}
	}
}
