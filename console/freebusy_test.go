package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/console"
	"pairsync/internal/graph"
	"pairsync/internal/simulator"
	"pairsync/internal/testbed"
	"pairsync/model"
)

type spanJSON struct{ Start, End string }

type freeBusyJSON struct {
	Participants []struct {
		Participant  string
		Busy         []spanJSON
		WorkingHours *struct {
			Days     []string
			From, To string
			TimeZone string `json:"time_zone"`
		} `json:"working_hours"`
		Error, Remedy *string
	}
	Slots    []spanJSON
	Complete bool
}

func (a *api) freeBusy(query string) freeBusyJSON {
	a.t.Helper()
	return decode[freeBusyJSON](a.t, a.get(tenantPath(adaTenant)+"/free-busy?"+query).want(a.t, 200))
}

// tuesday is a working day of both people.
const tuesday = "from=2026-12-01T00:00:00Z&to=2026-12-02T00:00:00Z"

func (o *office) engage(t *testing.T, person, start, end string) {
	t.Helper()
	from, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	to, err := time.Parse(time.RFC3339, end)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.sim.Book(simulator.Meeting{Organizer: person, Subject: "the doctor, secretly", Start: from, End: to}); err != nil {
		t.Fatal(err)
	}
}

func TestFreeBusy(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide)
	o.engage(t, "ada@contoso.example", "2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z")
	o.engage(t, "grace@contoso.example", "2026-12-01T09:30:00Z", "2026-12-01T14:00:00Z")
	got := o.freeBusy("participants=p-1,p-2&minutes=60&" + tuesday)
	// Both work from 8 to 17 in Berlin, which is 7 to 16 in UTC.
	want := []spanJSON{
		{"2026-12-01T07:00:00Z", "2026-12-01T08:00:00Z"},
		{"2026-12-01T14:00:00Z", "2026-12-01T15:00:00Z"},
		{"2026-12-01T14:30:00Z", "2026-12-01T15:30:00Z"},
		{"2026-12-01T15:00:00Z", "2026-12-01T16:00:00Z"},
	}
	if diff := cmp.Diff(want, got.Slots); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]spanJSON{{"2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z"}}, got.Participants[0].Busy); diff != "" || !got.Complete {
		t.Errorf("Ada's engagements (-want +got):\n%s", diff)
	}
	hours := got.Participants[1].WorkingHours
	if hours == nil || hours.From != "08:00" || hours.To != "17:00" || hours.TimeZone != "Europe/Berlin" || len(hours.Days) != 5 {
		t.Errorf("Grace's working hours: %+v", hours)
	}
	// Half an hour unless told; a person named twice counts once.
	if got := o.freeBusy("participants=p-1,p-1,&" + tuesday); len(got.Participants) != 1 || got.Slots[0] != (spanJSON{"2026-12-01T07:00:00Z", "2026-12-01T07:30:00Z"}) {
		t.Errorf("Ada alone: %+v", got)
	}
	raw := o.get(tenantPath(adaTenant) + "/free-busy?participants=p-1,p-2&" + tuesday)
	if strings.Contains(string(raw.body), "doctor") || strings.Contains(string(raw.body), "@") {
		t.Errorf("more than times leaves: %s", raw.body)
	}
	o.put(participantPath(adaTenant, "p-2"), `{"email":"grace@contoso.example","availability":[{"days":["tuesday"],"from":"16:00","to":"18:00","time_zone":"Europe/Berlin"}]}`).want(t, 200)
	if got := o.freeBusy("participants=p-1,p-2&minutes=60&" + tuesday); len(got.Slots) != 1 || got.Slots[0].Start != "2026-12-01T15:00:00Z" {
		t.Errorf("with the availability that Grace declared: %+v", got.Slots)
	}
}

// TestFreeBusyNamesWhoCannotBeRead has one person unreadable, who would even be the first to ask.
func TestFreeBusyNamesWhoCannotBeRead(t *testing.T) {
	t.Parallel()
	o := startOffice(t, model.MethodDomainWide)
	o.put(participantPath(adaTenant, "p-0"), `{"email":"nobody@contoso.example","availability":[{"days":["tuesday"],"from":"07:00","to":"08:00","time_zone":"UTC"}]}`).want(t, 201)
	got := o.freeBusy("participants=p-0,p-1&" + tuesday)
	if got.Complete || got.Participants[0].Error == nil || *got.Participants[0].Error != "user_not_found" || got.Participants[0].Remedy == nil {
		t.Errorf("nobody's schedule: %+v", got.Participants[0])
	}
	if got.Participants[1].Error != nil || got.Participants[1].WorkingHours == nil {
		t.Errorf("Ada's schedule: %+v", got.Participants[1])
	}
	// What somebody declared is known without reading their calendar.
	if len(got.Slots) != 2 || got.Slots[1].End != "2026-12-01T08:00:00Z" {
		t.Errorf("slots: %+v", got.Slots)
	}
	if alone := o.freeBusy("participants=p-0&" + tuesday); len(alone.Slots) != 0 || alone.Participants[0].Error == nil {
		t.Errorf("nobody alone: %+v", alone)
	}
	for kind, reason := range map[simulator.MailboxKind]string{simulator.MailboxDeleted: "user_not_found", simulator.MailboxAccessDenied: "no_free_busy_access"} {
		if err := o.sim.SetMailbox("grace@contoso.example", kind); err != nil {
			t.Fatal(err)
		}
		got := o.freeBusy("participants=p-2,p-1&" + tuesday)
		if got.Participants[0].Error == nil || *got.Participants[0].Error != reason || len(got.Slots) == 0 {
			t.Errorf("%s: %+v", kind, got.Participants[0])
		}
	}
	if err := o.sim.SetConsent(adaTenant, simulator.ConsentWithdrawn); err != nil {
		t.Fatal(err)
	}
}

func TestFreeBusyWithoutOutlook(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	got := a.freeBusy("participants=p-1,p-2&" + tuesday)
	if len(got.Slots) != 0 || got.Complete || *got.Participants[0].Error != "network" || *got.Participants[1].Error != "network" {
		t.Errorf("got %+v", got)
	}
}

func TestFreeBusyRefuses(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.get(tenantPath(adaTenant)+"/free-busy?participants=p-1&"+tuesday).refused(t, 404, "")
	a.people(adaTenant, "p-1")
	many := strings.TrimSuffix(strings.Repeat("p-1,", 1), ",")
	for i := range 51 {
		many += ",x" + strings.Repeat("y", i)
	}
	for query, field := range map[string]string{
		tuesday: "participants", "participants=,&" + tuesday: "participants", "participants=p-9&" + tuesday: "participants",
		"participants=" + many + "&" + tuesday: "participants", "participants=%00&" + tuesday: "participants",
		"participants=p-1&to=2026-12-02T00:00:00Z": "from", "participants=p-1&from=2026-12-02T00:00:00Z": "to",
		"participants=p-1&from=2026-12-02T00:00:00Z&to=2026-12-02T00:00:00Z": "to",
		"participants=p-1&from=2026-12-02T00:00:00Z&to=2027-02-02T00:00:01Z": "to",
		"participants=p-1&from=tomorrow&to=2026-12-02T00:00:00Z":             "from",
		"participants=p-1&minutes=4&" + tuesday:                              "minutes",
		"participants=p-1&minutes=1441&" + tuesday:                           "minutes",
		"participants=p-1&minutes=half&" + tuesday:                           "minutes",
		"participant=p-1&" + tuesday:                                         "participant",
	} {
		a.get(tenantPath(adaTenant)+"/free-busy?"+query).refused(t, 400, field)
	}
	a.get(tenantPath(adaTenant)+"/free-busy?participants=p-1&from=2026-12-02T00:00:00Z&to=2027-02-02T00:00:00Z").want(t, 200)
}

// asked is an Outlook that notes whose mailbox asks for whom.
type asked struct {
	noOutlook

	asked chan string
}

func (a asked) Schedules(_ context.Context, mb graph.Mailbox, emails []string, _, _ time.Time) ([]graph.Schedule, error) {
	a.asked <- mb.User + " for " + strings.Join(emails, ",")
	if strings.HasPrefix(mb.User, "p-1") {
		return nil, &graph.Error{Kind: graph.KindMailbox, Reason: graph.ReasonMailboxNotEnabled}
	}
	got := make([]graph.Schedule, len(emails))
	for i := range emails {
		got[i].Email = emails[i]
	}
	return got, nil
}

// TestFreeBusyWhoAsks shows that anybody asks for everybody under one consent, and each for themselves otherwise.
func TestFreeBusyWhoAsks(t *testing.T) {
	t.Parallel()
	outlook := asked{asked: make(chan string, 8)}
	a := startAPIWith(t, testbed.DatabaseURL(t), console.Deps{Calendars: outlook, Directory: outlook, SignIn: outlook})
	a.people(adaTenant, "p-1", "p-2")
	both := "participants=" + url.QueryEscape("p-1,p-2") + "&" + tuesday
	if got := a.freeBusy(both); !got.Complete || len(got.Slots) == 0 {
		t.Errorf("one for all: %+v", got)
	}
	const all = " for p-1@contoso.example,p-2@contoso.example"
	if first, second := <-outlook.asked, <-outlook.asked; first != "p-1@contoso.example"+all || second != "p-2@contoso.example"+all {
		t.Errorf("first asked %q, then %q", first, second)
	}
	// Whoever is known to be well asks first.
	if _, err := a.store.MailboxHealed(t.Context(), adaTenant, "p-2"); err != nil {
		t.Fatal(err)
	}
	a.freeBusy(both)
	if first := <-outlook.asked; first != "p-2@contoso.example"+all {
		t.Errorf("first asked %q", first)
	}
	a.put(tenantPath(adaTenant), strings.Replace(tenantBody, "domain_wide", "per_user", 1)).want(t, 200)
	got := a.freeBusy(both)
	if *got.Participants[0].Error != "mailbox_not_enabled" || got.Participants[1].Error != nil {
		t.Errorf("each for themselves: %+v", got)
	}
	for range 2 {
		if who, whom, _ := strings.Cut(<-outlook.asked, " for "); who != whom {
			t.Errorf("%s asked for %s", who, whom)
		}
	}
}
