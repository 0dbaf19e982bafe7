package simulator

import (
	"net/http"
	"testing"
	"time"
)

func TestAnswersThatOutlookRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	times := func(from, to time.Duration) map[string]any {
		return map[string]any{
			"start": wallTime{monday().Add(from).Format(localTime), "UTC"}, "end": wallTime{monday().Add(to).Format(localTime), "UTC"},
		}
	}
	path := o.events(t, "Grace") + "/" + b.Copies[email("Grace")]
	refused := map[string]struct {
		verb string
		body any
	}{
		"half a proposal":           {"/tentativelyAccept", map[string]any{"proposedNewTime": map[string]any{"start": wallTime{"2031-01-01T00:00:00", "UTC"}}}},
		"a proposal backwards":      {"/decline", map[string]any{"proposedNewTime": times(2*time.Hour, time.Hour)}},
		"a proposal with no date":   {"/decline", map[string]any{"proposedNewTime": map[string]any{"start": wallTime{"x", "UTC"}, "end": wallTime{"y", "UTC"}}}},
		"yes, at another time":      {"/accept", map[string]any{"proposedNewTime": times(time.Hour, 2*time.Hour)}},
		"no JSON":                   {"/accept", "{"},
		"a cancellation of nothing": {"/cancel", "["},
	}
	for name, r := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.graph(t, 400, http.MethodPost, path+r.verb, r.body)
		})
	}
	closed := o.pair(t)
	o.graph(t, 200, http.MethodPatch, o.events(t, "Ada")+"/"+closed.ID, map[string]any{"allowNewTimeProposals": false})
	if err := o.Propose(email("Grace"), closed.ID, monday(), monday().Add(time.Hour)); err == nil {
		t.Error("a proposal was taken although the organizer takes none")
	}
	if err := o.Tentative(email("Grace"), closed.ID); err != nil {
		t.Error(err)
	}
	if err := o.Cancel(closed.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.Accept(email("Grace"), closed.ID); err == nil {
		t.Error("a cancelled meeting was accepted")
	}
}

func TestAnswersThatNobodyAskedForAreNotSent(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	o.graph(t, 200, http.MethodPatch, o.events(t, "Ada")+"/"+b.ID, map[string]any{"responseRequested": false})
	if err := o.Accept(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	if v, err := o.Event(b.ID); err != nil || v.Attendees[0].Response != answerNone {
		t.Errorf("organizer's copy %+v, %v", v, err)
	}
}

func TestHiddenAttendeesSeeOnlyThemselves(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	people := []any{}
	for _, name := range []string{"Grace", "Alan"} {
		people = append(people, map[string]any{"emailAddress": map[string]any{"address": email(name)}, "type": "optional"})
	}
	b := o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("Hidden", map[string]any{"attendees": people, "hideAttendees": true}), immutable())
	for name, want := range map[string]int{"Ada": 2, "Grace": 1, "Alan": 1} {
		v, err := o.CopyOf(email(name), text(t, b, "id"))
		if err != nil || len(v.Attendees) != want {
			t.Errorf("%s sees %+v, %v", name, v.Attendees, err)
		}
	}
}

func TestInstanceIsBroughtBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.series(t)
	for _, i := range []int{1, 2} {
		if err := o.Cancel(b.Instances[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Restore(email("Ada"), b.Instances[1].ID); err != nil {
		t.Fatal(err)
	}
	if n := len(o.instances(t, b)); n != 4 {
		t.Errorf("%d instances after one of two came back", n)
	}
	if v, err := o.CopyOf(email("Grace"), b.Instances[1].ID); err != nil || v.Cancelled {
		t.Errorf("Grace's copy of what came back: %+v, %v", v, err)
	}
	// A series that comes back has what it had: the instance called off by itself stays off.
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.Restore(email("Ada"), b.ID); err != nil {
		t.Fatal(err)
	}
	if n := len(o.instances(t, b)); n != 4 {
		t.Errorf("%d instances after the series came back", n)
	}
	if view, err := o.Calendar(email("Grace"), monday(), monday().AddDate(0, 1, 10)); err != nil || len(view) != 5 || view[0].Cancelled {
		t.Errorf("Grace's view %+v, %v", view, err)
	}
}

func TestSingleEventBecomesASeriesAndChangesItsPattern(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	path := o.events(t, "Ada") + "/"
	id := text(t, o.graph(t, 201, http.MethodPost, o.events(t, "Ada"), draft("Grows"), immutable()), "id")
	daily := func(n int) map[string]any {
		return map[string]any{"recurrence": map[string]any{
			"pattern": map[string]any{"type": "daily", "interval": 1},
			"range":   map[string]any{"type": "numbered", "startDate": monday().Format(time.DateOnly), "numberOfOccurrences": n},
		}}
	}
	o.graph(t, 400, http.MethodGet, path+id+"/instances?startDateTime=2031-01-01T00:00:00Z&endDateTime=2031-02-01T00:00:00Z", nil)
	o.graph(t, 400, http.MethodGet, path+id+"/instances?startDateTime=soon&endDateTime=2031-02-01T00:00:00Z", nil)
	got := o.graph(t, 200, http.MethodPatch, path+id, daily(4), immutable())
	if got["type"] != kindMaster {
		t.Errorf("type %v", got["type"])
	}
	b := Booked{Mailbox: o.id(t, email("Ada")), ID: id}
	four := o.instances(t, b)
	o.graph(t, 200, http.MethodPatch, path+id, daily(2), immutable())
	two := o.instances(t, b)
	if len(four) != 4 || len(two) != 2 || four[1]["id"] != two[1]["id"] {
		t.Errorf("%d, then %d instances", len(four), len(two))
	}
	o.graph(t, 404, http.MethodGet, path+text(t, four[3], "id"), nil)
}

func TestMeetingAcrossOrganisations(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	fabrikam, err := o.AddTenant(Tenant{Name: "Fabrikam", Domain: "fabrikam.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.AddUser(User{Tenant: fabrikam.ID, Name: "Eve", Email: "eve@fabrikam.example"}); err != nil {
		t.Fatal(err)
	}
	b, err := o.Book(Meeting{
		Organizer: email("Ada"), Attendees: []string{"eve@fabrikam.example", "nobody@nowhere.example"}, Start: monday(), End: monday().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Accept("eve@fabrikam.example", b.ID); err != nil {
		t.Fatal(err)
	}
	v, err := o.Event(b.ID)
	if err != nil || len(v.Attendees) != 2 || v.Attendees[0].Response != answerAccepted || v.Attendees[1].Response != answerNone {
		t.Errorf("organizer's copy %+v, %v", v, err)
	}
	names := []string{}
	for _, tenant := range o.Tenants() {
		names = append(names, tenant.Name)
	}
	if len(names) != 2 || names[0] != "Contoso" || names[1] != "Fabrikam" {
		t.Errorf("organisations %v", names)
	}
}

func TestZonesAndWallTimes(t *testing.T) {
	t.Parallel()
	for name, iana := range windowsZones() {
		z, err := parseZone(name)
		if err != nil || z.loc.String() != iana {
			t.Errorf("%s: %v, %v", name, z.loc, err)
		}
	}
	tests := map[wallTime]string{
		{"2031-07-01T09:00:00.0000000", "W. Europe Standard Time"}: "2031-07-01T07:00:00Z",
		{"2031-01-01T09:00", "Europe/Berlin"}:                      "2031-01-01T08:00:00Z",
		{"2031-01-01", "UTC"}:                                      "2031-01-01T00:00:00Z",
		{"2031-01-01T09:00:00+02:00", "Eastern Standard Time"}:     "2031-01-01T07:00:00Z",
		{"2031-01-01T09:00:00", "tzone://Microsoft/Utc"}:           "2031-01-01T09:00:00Z",
	}
	for w, want := range tests {
		if got, _, err := w.instant(); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%+v is %s, %v, want %s", w, got.Format(time.RFC3339), err, want)
		}
	}
	for _, w := range []wallTime{{"2031-01-01T09:00:00", "Local"}, {"2031-13-01", "UTC"}, {"", ""}} {
		if _, _, err := w.instant(); err == nil {
			t.Errorf("%+v was taken for a time", w)
		}
	}
}

func TestAddressesAndNamesChange(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{PublicURL: "https://outlook.example/"})
	id := o.id(t, email("Ada"))
	u, err := o.AddUser(User{ID: id, Tenant: contoso, Name: "Ada King", Email: "king@contoso.example", TimeZone: "GMT Standard Time"})
	if err != nil || u.ID != id {
		t.Fatalf("%+v, %v", u, err)
	}
	o.graph(t, 404, http.MethodGet, "/users/"+email("Ada"), nil)
	got := o.graph(t, 200, http.MethodGet, "/users/king@contoso.example", nil)
	if got["displayName"] != "Ada King" || got["@odata.context"] != "https://outlook.example/v1.0/$metadata#users/$entity" {
		t.Errorf("user %v", got)
	}
}
