package console_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pairsync/console"
	"pairsync/internal/graph"
	"pairsync/internal/probe"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

type stepJSON struct {
	Step           string
	OK             bool
	Reason, Remedy *string
}

type tryoutJSON struct {
	Accessible, Inaccessible int
	Results                  []struct {
		Participant          string
		OK                   bool
		Step, Reason, Remedy *string
		Steps                []stepJSON
	}
	Door     stepJSON
	Warnings []struct{ Kind, Detail string }
}

func (a *api) try(body string) tryoutJSON {
	a.t.Helper()
	return decode[tryoutJSON](a.t, a.post(tenantPath(adaTenant)+"/test", body).want(a.t, 200))
}

func TestConnectionTest(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide)
	got := o.try("")
	if got.Accessible != 2 || got.Inaccessible != 0 || !got.Door.OK || got.Door.Step != "door" {
		t.Fatalf("all is well: %+v", got)
	}
	for _, r := range got.Results {
		var steps []string
		for _, s := range r.Steps {
			steps = append(steps, s.Step)
		}
		if !r.OK || r.Reason != nil || !slices.Equal(steps, []string{"token", "user", "mailbox", "read", "free_busy"}) {
			t.Errorf("%s: %+v", r.Participant, r)
		}
	}
	// What was found out on the way is known from now on.
	if o.tenantStatus() != "connected" || o.mailboxStatus() != "ok" {
		t.Errorf("the tenant is %s, the mailbox %s", o.tenantStatus(), o.mailboxStatus())
	}
	// There is somebody in the organisation who is no participant, and can be read.
	if len(got.Warnings) != 1 || got.Warnings[0].Kind != "access_beyond_participants" || !strings.Contains(got.Warnings[0].Detail, "1 of 1") {
		t.Errorf("warnings: %+v", got.Warnings)
	}
	if err := o.sim.SetMailbox("stranger@contoso.example", simulator.MailboxAccessDenied); err != nil {
		t.Fatal(err)
	}
	if got := o.try(`{"participants":["p-2"]}`); len(got.Warnings) != 0 || len(got.Results) != 1 || got.Results[0].Participant != "p-2" {
		t.Errorf("one participant, and a scope: %+v", got)
	}
	if got := o.try(`{"sample":1}`); len(got.Results) != 1 {
		t.Errorf("a sample of one: %+v", got)
	}
	if got := o.try(`{"participants":[]}`); len(got.Results) != 0 || len(got.Warnings) != 1 || got.Warnings[0].Kind != "no_participants" {
		t.Errorf("nobody: %+v", got)
	}
}

// TestConnectionTestNamesEveryTrouble breaks Grace's mailbox in every way, and wants the step, the reason and a remedy.
func TestConnectionTestNamesEveryTrouble(t *testing.T) {
	t.Parallel()
	for kind, want := range map[simulator.MailboxKind]struct{ step, reason, says string }{
		simulator.MailboxAccessDenied: {"mailbox", "access_denied", "RBAC"},
		simulator.MailboxNotEnabled:   {"mailbox", "mailbox_not_enabled", "on-premises"},
		simulator.MailboxDeleted:      {"user", "user_not_found", "address"},
		simulator.MailboxMoving:       {"mailbox", "mailbox_moving", "by itself"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			o := startOffice(t, model.MethodDomainWide)
			if err := o.sim.SetMailbox("grace@contoso.example", kind); err != nil {
				t.Fatal(err)
			}
			got := o.try("")
			if got.Accessible != 1 || got.Inaccessible != 1 {
				t.Fatalf("got %+v", got)
			}
			r := got.Results[1]
			if r.OK || *r.Step != want.step || *r.Reason != want.reason || !strings.Contains(*r.Remedy, want.says) {
				t.Errorf("Grace: step %s, reason %s, remedy %s", *r.Step, *r.Reason, *r.Remedy)
			}
			if last := r.Steps[len(r.Steps)-1]; last.OK || last.Step != want.step || !r.Steps[0].OK {
				t.Errorf("steps: %+v", r.Steps)
			}
			if strings.Contains(*r.Remedy, "@") {
				t.Errorf("the remedy names somebody: %s", *r.Remedy)
			}
		})
	}
}

func TestConnectionTestWithoutConsent(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide)
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	got := o.try("")
	if got.Accessible != 0 || got.Inaccessible != 2 || *got.Results[0].Step != "token" || !strings.Contains(*got.Results[0].Remedy, "/consent") {
		t.Errorf("no consent: %+v", got.Results[0])
	}
	if o.tenantStatus() != "pending_consent" {
		t.Errorf("the tenant is %s", o.tenantStatus())
	}
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentWithdrawn); err != nil {
		t.Fatal(err)
	}
	got = o.try("")
	if got.Accessible != 0 || !strings.Contains(*got.Results[0].Remedy, "withdrawn") {
		t.Errorf("a consent that was withdrawn: %+v", got.Results[0])
	}
}

func TestConnectionTestTriesTheDoor(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide)
	o.door = &probe.HopError{Hop: probe.HopProxy, Status: 403, Detail: "pairsync.example answers 403", Remedy: "let the gateway pass /graph/"}
	got := o.try("")
	if got.Door.OK || *got.Door.Reason != "door_proxy" || !strings.Contains(*got.Door.Remedy, "403") || !strings.Contains(*got.Door.Remedy, "gateway") {
		t.Errorf("the door: %+v", got.Door)
	}
	// The door is nobody's mailbox.
	if got.Accessible != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestConnectionTestPerUser(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodPerUser)
	got := o.try(`{"participants":["p-1"]}`)
	r := got.Results[0]
	if r.OK || *r.Step != "mailbox" || *r.Reason != "sign_in_required" || !strings.Contains(*r.Remedy, "/connect") || len(got.Warnings) != 0 {
		t.Errorf("before signing in: %+v", got)
	}
	shows(t, answerAt(t, o.microsoft(participantPath(adaTenant, "p-1")+"/connect"), "answer", "consent"), 200)
	if got := o.try(`{"participants":["p-1"]}`); got.Accessible != 1 {
		t.Errorf("after signing in: %+v", got.Results[0])
	}
}

func TestConnectionTestRefuses(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	path := tenantPath(adaTenant) + "/test"
	a.post(path, "").refused(t, 404, "")
	a.people(adaTenant, "p-1")
	for body, field := range map[string]string{
		`{"sample":0}`: "sample", `{"sample":101}`: "sample", `{"sample":"all"}`: "sample", `{"sample":1.5}`: "sample",
		`{"participants":["p-9"]}`: "participants[0]", `{"participants":"p-1"}`: "participants", `{"participants":["p-1","p-1"]}`: "participants[1]",
		`{"size":3}`: "size",
	} {
		a.post(path, body).refused(t, 422, field)
	}
	got := a.try("")
	if got.Inaccessible != 1 || *got.Results[0].Reason != "network" || !strings.Contains(*got.Results[0].Remedy, "PAIRSYNC_AUTHORITY_URL") {
		t.Errorf("without Outlook: %+v", got.Results[0])
	}
}

// crowd is an Outlook that counts how many of its mailboxes are asked about at the same time.
type crowd struct {
	noOutlook

	inside, most chan int
}

func (c crowd) TokenTenant(context.Context, string) (string, []string, error) {
	return adaTenant, nil, nil
}

func (c crowd) User(ctx context.Context, _, _ string) (string, error) {
	now := <-c.inside + 1
	c.inside <- now
	most := <-c.most
	c.most <- max(most, now)
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.inside <- <-c.inside - 1
	return "", &graph.Error{Kind: graph.KindMailbox, Reason: graph.ReasonUserNotFound}
}

func TestConnectionTestIsBounded(t *testing.T) {
	t.Parallel()
	outlook := crowd{inside: make(chan int, 1), most: make(chan int, 1)}
	outlook.inside <- 0
	outlook.most <- 0
	a := startAPIWith(t, testbed.DatabaseURL(t), console.Deps{Calendars: outlook, Directory: outlook, SignIn: outlook})
	var ids []string
	for i := range 40 {
		ids = append(ids, fmt.Sprintf("p-%02d", i))
	}
	a.people(adaTenant, ids...)
	if got := a.try(`{"sample":40}`); got.Inaccessible != 40 {
		t.Errorf("%d of 40 were tried", got.Inaccessible)
	}
	if most := <-outlook.most; most < 2 || most > 9 {
		t.Errorf("%d were asked about at the same time", most)
	}
}
