package workers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/graph"
	"pairsync/model"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want trouble
	}{
		"mailbox":     {&graph.Error{Kind: graph.KindMailbox, Reason: "access_denied"}, trouble{remedy: remedyMailbox, status: model.MailboxUnreachable, reason: "access_denied"}},
		"sign in":     {&graph.Error{Kind: graph.KindSignIn, Reason: "sign_in_needed"}, trouble{remedy: remedyMailbox, status: model.MailboxNeedsSignIn, reason: "sign_in_needed"}},
		"tenant":      {&graph.Error{Kind: graph.KindTenant, Reason: "consent_missing"}, trouble{remedy: remedyTenant, status: model.MailboxUnreachable, reason: "consent_missing"}},
		"throttled":   {&graph.Error{Kind: graph.KindThrottled, RetryAfter: 2128 * time.Millisecond}, trouble{after: 2128 * time.Millisecond}},
		"unavailable": {fmt.Errorf("reading: %w", &graph.Error{Kind: graph.KindUnavailable}), trouble{}},
		"quota":       {&graph.Error{Kind: graph.KindQuota}, trouble{}},
		"time-out":    {fmt.Errorf("reading: %w", context.DeadlineExceeded), trouble{}},
		"shutdown":    {context.Canceled, trouble{}},
		"crowded":     {errCrowded, trouble{after: gatePatience}},
		"unreadable":  {&graph.Error{Kind: graph.KindInvalid}, trouble{remedy: remedyBug}},
		"incomplete":  {errIncomplete, trouble{remedy: remedyBug}},
		"new kind":    {&graph.Error{Kind: "something"}, trouble{remedy: remedyBug}},
		"anything":    {errors.New("anything"), trouble{remedy: remedyBug}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, diagnose(tt.err), cmp.AllowUnexported(trouble{})); diff != "" {
				t.Errorf("trouble (-want +got):\n%s", diff)
			}
		})
	}
}
