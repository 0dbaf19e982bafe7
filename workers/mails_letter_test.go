package workers

import (
	"strings"
	"testing"
	"time"

	"pairsync/internal/callback"
	"pairsync/internal/graph"
	"pairsync/model"
)

// Every reason that lasts until somebody mends it has words of its own, and they end in a full stop.
func TestReasonsHaveWords(t *testing.T) {
	t.Parallel()
	unknown := wordsFor(model.ScopeMailbox, "a reason of the future")
	if !strings.Contains(unknown.what, "a reason of the future") || unknown.remedy == "" {
		t.Errorf("%+v", unknown)
	}
	reasons := map[model.IncidentScope][]string{model.ScopeMailbox: {
		graph.ReasonAccessDenied, graph.ReasonPermissionMissing, graph.ReasonTokenRejected, graph.ReasonMailboxNotEnabled,
		graph.ReasonMailboxNotSupported, graph.ReasonNoMailbox, graph.ReasonUserNotFound, graph.ReasonMailboxMoving,
		graph.ReasonSignInRequired, graph.ReasonQuotaExceeded, graph.ReasonNotFound,
	}, model.ScopeTenant: {
		graph.ReasonConsentMissing, graph.ReasonSecretWrong, graph.ReasonSecretExpired, graph.ReasonCredentialRefused,
		graph.ReasonCredentialUnreadable, graph.ReasonAppNotInTenant, graph.ReasonAppDisabled, graph.ReasonTenantNotFound,
	}}
	for _, r := range callback.Reasons() {
		reasons[model.ScopeCallback] = append(reasons[model.ScopeCallback], string(r))
	}
	for scope, all := range reasons {
		for _, reason := range all {
			w := wordsFor(scope, reason)
			if strings.Contains(w.what, "reason given") {
				t.Errorf("%s has no words", reason)
			}
			for _, sentence := range []string{w.what, w.remedy} {
				if !strings.HasSuffix(sentence, ".") && !strings.HasSuffix(sentence, "?") && !strings.HasSuffix(sentence, ".\"") && !strings.HasSuffix(sentence, "\".") {
					t.Errorf("%s: %q doesn't end", reason, sentence)
				}
			}
		}
	}
}

func TestLettersOfSeveralKinds(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	closed := opened.Add(90 * time.Minute)
	l := letterOf(model.Mail{
		ID: 7, Tenant: "t", OwnerEmail: "owner@t.example", Kind: model.MailRecovered, Incidents: []model.Incident{
			{Scope: model.ScopeCallback, Reason: "timeout", OpenedAt: opened, ClosedAt: &closed},
			{Scope: model.ScopeMailbox, Participant: "p-1", Reason: "no_mailbox", OpenedAt: opened, ClosedAt: &closed},
		},
	})
	if l.ID != "pairsync-letter-7" || l.To != "owner@t.example" || l.Subject != "t: mended: calendars can't be read, and changes can't be delivered" {
		t.Errorf("%+v", l)
	}
	if got := l.Parts[0].Items; len(got) != 1 || got[0] != "participant p-1, from 1 December 2026, 09:30 UTC to 1 December 2026, 11:00 UTC (1h30m0s)" {
		t.Errorf("mailboxes come first: %q", got)
	}
	l = letterOf(model.Mail{
		ID: 8, Tenant: "t", TenantName: "School", Kind: model.MailExpiry, Subject: certificateWords, ExpiresAt: opened, Days: 7,
	})
	if l.Subject != "School: the application's certificate expires on 1 December 2026" || !strings.Contains(l.Parts[0].Paragraphs[0], "in 7 days or less") {
		t.Errorf("%+v", l)
	}
}
