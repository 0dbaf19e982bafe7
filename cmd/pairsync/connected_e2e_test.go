package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/internal/simulator"
)

const mentoring = "Mentoring: Ada and Grace"

// TestFromConsentToCancellation is the whole life of a session, with the process killed at once after every answer of the API
// that asks for something to be done in Outlook: connect, test, find a time, book, accept, move, move back, cancel. Nothing
// happens twice, and a receiver of callbacks that was down gets everything in order.
func TestFromConsentToCancellation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.outlook.sim.SetConsent(organisations()[0].tenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	s.env["PAIRSYNC_CALLBACK_ALLOW_PRIVATE"] = "true"
	platform := &receiver{addr: freeAddr(t), seen: map[string]bool{}}
	p := newPlain(t, s)
	serving := start(t, s.env, "serve")
	s.ready(t)
	again := func() {
		t.Helper()
		serving.kill(t)
		serving = start(t, s.env, "serve")
		s.ready(t)
	}

	p.register(t, "domain_wide", platform)
	p.connect(t)
	slots := p.slots(t)

	begun := time.Now()
	p.want(t, slots[0])
	again()
	booked := p.until(t, "the session to be in Outlook", func(s plainSession) bool { return s.Outlook.State == "in_sync" && s.JoinURL != "" })
	t.Logf("booked %s after the kill", time.Since(begun))
	if !strings.HasPrefix(booked.JoinURL, "https://teams.microsoft.com/") {
		t.Errorf("the link is %s", booked.JoinURL)
	}
	p.inOutlook(t, 1, slots[0])

	p.person(t, map[string]any{"do": "accept", "person": "grace@contoso.example", "event": booked.Outlook.EventID})
	p.until(t, "the answer", func(s plainSession) bool { return s.Attendees[0].RSVP.Response == "accepted" })
	platform.open(t)

	begun = time.Now()
	p.want(t, slots[5])
	again()
	p.until(t, "the move, and the answer to be void", func(s plainSession) bool {
		return s.Outlook.State == "in_sync" && s.StartsAt.Equal(slots[5].Start) && s.Attendees[0].RSVP.Response == "none"
	})
	t.Logf("moved %s after the kill", time.Since(begun))
	p.inOutlook(t, 1, slots[5])

	p.person(t, map[string]any{"do": "move", "person": "ada@contoso.example", "event": booked.Outlook.EventID, "start": slots[0].Start, "end": slots[0].End})
	p.until(t, "the move back", func(s plainSession) bool { return s.StartsAt.Equal(slots[0].Start) })

	begun = time.Now()
	must[struct{}](t, p, http.MethodPost, p.api+"/sessions/s-1/cancel", map[string]string{"comment": "Ada is ill."})
	again()
	p.until(t, "the cancellation", func(s plainSession) bool { return s.Status == "cancelled" && s.Outlook.State == "in_sync" })
	t.Logf("cancelled %s after the kill", time.Since(begun))
	p.inOutlook(t, 0, slots[0])

	want := []string{"platform booked", "outlook rsvp_changed", "platform rescheduled", "outlook rescheduled", "platform cancelled"}
	var kinds, wrong []string
	within(t, "the callbacks", func(context.Context) (bool, error) {
		kinds, wrong = platform.kinds()
		return len(kinds) >= len(want), nil
	})
	if diff := cmp.Diff(want, kinds); diff != "" || len(wrong) > 0 {
		t.Errorf("callbacks (-want +got), wrong %v:\n%s", wrong, diff)
	}
	history := must[struct{ Items []apiChange }](t, p, http.MethodGet, p.api+"/sessions/s-1/changes", nil)
	if len(history.Items) != len(want) {
		t.Errorf("the history has %d entries, want %d", len(history.Items), len(want))
	}
	if status := serving.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
	for _, secret := range []string{platform.secret, "@contoso.example", "Ada is ill", mentoring} {
		if strings.Contains(serving.output(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
}

// register tells pairsync of the organisation, with a receiver if there is one, and of Ada and Grace.
func (p *plain) register(t *testing.T, method string, platform *receiver) {
	t.Helper()
	tenant := map[string]string{"name": "Contoso", "owner_email": "it@contoso.example", "method": method}
	if platform != nil {
		tenant["callback_url"] = "http://" + platform.addr + "/changes"
	}
	answer := must[struct {
		Status string
		Secret string `json:"callback_secret"`
	}](t, p, http.MethodPut, p.api, tenant)
	if answer.Status != "pending_consent" || (platform != nil) != strings.HasPrefix(answer.Secret, "whsec_") {
		t.Fatalf("the tenant is %s, its secret %q", answer.Status, answer.Secret)
	}
	if platform != nil {
		platform.mu.Lock()
		platform.secret = answer.Secret
		platform.mu.Unlock()
	}
	for _, id := range []string{"ada", "grace"} {
		must[struct{}](t, p, http.MethodPut, p.api+"/participants/"+id, map[string]string{"email": id + "@contoso.example"})
	}
}

// connect has the organisation's admin consent, and tests the connection.
func (p *plain) connect(t *testing.T) {
	t.Helper()
	before := must[apiTest](t, p, http.MethodPost, p.api+"/test", nil)
	if before.Accessible != 0 || before.Inaccessible != 2 || !before.Door.OK {
		t.Errorf("before the consent the test says %+v", before)
	}
	link := must[struct{ URL string }](t, p, http.MethodPost, p.api+"/consent", nil)
	p.browse(t, link.URL, "Contoso is connected")
	if tenant := must[struct{ Status string }](t, p, http.MethodGet, p.api, nil); tenant.Status != "connected" {
		t.Errorf("the tenant is %s", tenant.Status)
	}
	if after := must[apiTest](t, p, http.MethodPost, p.api+"/test", nil); after.Accessible != 2 || after.Inaccessible != 0 || !after.Door.OK {
		t.Errorf("after the consent the test says %+v", after)
	}
}

// slots are the times that free/busy offers; Ada and Grace have a meeting in them already.
func (p *plain) slots(t *testing.T) []span {
	t.Helper()
	from := time.Now().UTC().Truncate(time.Hour)
	query := url.Values{"participants": {"ada,grace"}, "from": {from.Format(time.RFC3339)}, "to": {from.AddDate(0, 0, 7).Format(time.RFC3339)}}
	answer := must[struct {
		Participants []struct{ Busy []span }
		Slots        []span
	}](t, p, http.MethodGet, p.api+"/free-busy?"+query.Encode(), nil)
	if len(answer.Slots) < 6 || len(answer.Participants) != 2 || len(answer.Participants[0].Busy) == 0 {
		t.Fatalf("free/busy says %+v", answer)
	}
	for _, slot := range answer.Slots {
		for _, person := range answer.Participants {
			if slices.ContainsFunc(person.Busy, func(b span) bool { return slot.Start.Before(b.End) && b.Start.Before(slot.End) }) {
				t.Errorf("somebody is busy at %s", slot.Start)
			}
		}
	}
	return answer.Slots
}

// want asks for the session at that time.
func (p *plain) want(t *testing.T, at span) {
	t.Helper()
	must[struct{}](t, p, http.MethodPut, p.api+"/sessions/s-1", map[string]any{
		"organizer": "ada", "attendees": []string{"grace"}, "starts_at": at.Start, "ends_at": at.End, "time_zone": "Europe/Berlin",
		"title": mentoring, "online_meeting": "teams",
	})
}

// inOutlook waits until Ada and Grace each have so many meetings of ours in their calendars, which are on and at that time.
func (p *plain) inOutlook(t *testing.T, want int, at span) {
	t.Helper()
	for _, who := range []string{"ada@contoso.example", "grace@contoso.example"} {
		var views []simulator.View
		within(t, "the calendar of "+who, func(ctx context.Context) (bool, error) {
			_, answer, err := p.send(ctx, http.MethodGet, p.outlook+"/simulator/users/"+who+"/events", nil)
			if err != nil {
				return false, err
			}
			views = nil
			if err := json.Unmarshal(answer, &views); err != nil {
				return false, err
			}
			views = slices.DeleteFunc(views, func(v simulator.View) bool { return v.Subject != mentoring || v.Cancelled || v.Deleted })
			return len(views) == want, nil
		})
		for _, v := range views {
			if !v.Start.Equal(at.Start) || !v.End.Equal(at.End) {
				t.Errorf("%s has it at %s, want %s", who, v.Start, at.Start)
			}
		}
	}
}

// TestASignInThatIsRevoked has Ada connect her own calendar, an admin end her sign-in, and Ada sign in again: her mailbox
// needs a sign-in, the owner gets one letter, nothing is cancelled, and what she did meanwhile is caught up with.
func TestASignInThatIsRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.outlook.sim.SetConsent(organisations()[0].tenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	box, smtpURL := startLetters(t)
	s.env["PAIRSYNC_SMTP_URL"], s.env["PAIRSYNC_MAIL_FROM"] = smtpURL, "pairsync@contoso.example"
	p := newPlain(t, s)
	serving := start(t, s.env, "serve")
	s.ready(t)
	p.register(t, "per_user", nil)
	signIn := func(who string) {
		t.Helper()
		link := must[struct{ URL string }](t, p, http.MethodPost, p.api+"/participants/"+who+"/connect", nil)
		p.browse(t, link.URL, "Your calendar is connected")
	}
	mailbox := func(want string) {
		t.Helper()
		within(t, "Ada's mailbox to be "+want, func(ctx context.Context) (bool, error) {
			_, answer, err := p.send(ctx, http.MethodGet, p.api+"/participants/ada", nil)
			if err != nil {
				return false, err
			}
			var have struct{ Mailbox struct{ Status string } }
			err = json.Unmarshal(answer, &have)
			return have.Mailbox.Status == want, err
		})
	}
	signIn("ada")
	signIn("grace")
	slots := p.slots(t)
	p.want(t, slots[0])
	booked := p.until(t, "the session to be in Outlook", func(s plainSession) bool { return s.Outlook.State == "in_sync" && s.JoinURL != "" })
	within(t, "the subscription", func(context.Context) (bool, error) { return len(s.outlook.sim.Subscriptions()) > 0, nil })

	must[struct{}](t, p, http.MethodPut, p.outlook+"/simulator/users/ada@contoso.example/sign-in", map[string]string{"sign_in": "revoked"})
	// The access token that the process has would be good for an hour.
	serving.kill(t)
	serving = start(t, s.env, "serve")
	s.ready(t)
	p.person(t, map[string]any{"do": "move", "person": "ada@contoso.example", "event": booked.Outlook.EventID, "start": slots[3].Start, "end": slots[3].End})
	mailbox("needs_sign_in")
	lost := p.until(t, "the session to be known as unreachable", func(s plainSession) bool { return s.Outlook.State == "unreachable" })
	if lost.Status != "scheduled" || !lost.StartsAt.Equal(slots[0].Start) {
		t.Errorf("the session is %+v", lost)
	}
	const opened = "Subject: Contoso: a calendar can't be read"
	within(t, "the letter", func(context.Context) (bool, error) { return box.with(opened) > 0, nil })

	signIn("ada")
	mailbox("ok")
	p.until(t, "the session to follow", func(s plainSession) bool { return s.Outlook.State == "in_sync" && s.StartsAt.Equal(slots[3].Start) })
	if n := box.with("for it@contoso.example"); n != 1 || box.with(opened) != 1 || box.with("/participants/{participant}/connect") != 1 {
		t.Errorf("the owner got %d letters: %q", n, box.got)
	}
	if status := serving.ends(t, syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ended it with status %d", status)
	}
}
