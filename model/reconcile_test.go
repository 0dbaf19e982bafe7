package model_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

// at is a moment of the test's day; minutes may pass the hour.
func at(hour, minute int) time.Time {
	return time.Date(2030, time.May, 6, hour, minute, 0, 0, time.UTC)
}

func accepted(t time.Time) model.RSVP {
	return model.RSVP{Response: model.ResponseAccepted, RespondedAt: &t}
}

func declined(t time.Time) model.RSVP {
	return model.RSVP{Response: model.ResponseDeclined, RespondedAt: &t}
}

func proposed(t, start, end time.Time) model.RSVP {
	return model.RSVP{Response: model.ResponseTentative, RespondedAt: &t, ProposedStart: &start, ProposedEnd: &end}
}

var noAnswer = model.RSVP{Response: model.ResponseNone}

// stored is a session as it stands after a reading at 8:00 of a version from 7:00.
func stored() model.Session {
	return model.Session{
		Tenant: "t", ID: "s", Status: model.SessionScheduled, Organizer: "p-1",
		StartsAt: at(9, 0), EndsAt: at(9, 30), TimeZone: "Europe/Berlin", JoinURL: "https://teams.example/1",
		Attendees: []model.Attendee{{Participant: "p-2", Email: "grace@contoso.example", RSVP: noAnswer}},
		EventID:   "AAk1", ICalUID: "uid-1", ChangeKey: "k1", LastModifiedAt: new(at(7, 0)), ReadAt: new(at(8, 0)),
		State: model.OutlookInSync, Version: 4, VerifiedAt: new(at(8, 0)),
	}
}

// unchanged is what a reading at 8:10 of the stored session's event gives if nothing has happened but a new version.
func unchanged() model.Observation {
	return model.Observation{
		Found: true, EventID: "AAk1", ICalUID: "uid-1", ChangeKey: "k2",
		StartsAt: at(9, 0), EndsAt: at(9, 30), JoinURL: "https://teams.example/1",
		Attendees:      []model.ObservedAttendee{{Email: "Grace@Contoso.example", RSVP: noAnswer}},
		LastModifiedAt: at(8, 5), ReadAt: at(8, 10),
	}
}

func observed(edit func(*model.Observation)) model.Observation {
	o := unchanged()
	edit(&o)
	return o
}

func session(edit func(*model.Session)) model.Session {
	s := stored()
	edit(&s)
	return s
}

// told is a change as a test states it.
type told struct {
	Kind          model.ChangeKind
	Participant   string
	Before, After string
}

func tell(t *testing.T, changes []model.Change) []told {
	t.Helper()
	var all []told
	for _, c := range changes {
		all = append(all, told{c.Kind, c.Participant, string(c.Before), string(c.After)})
	}
	return all
}

const (
	nineToHalfPast = `{"ends_at":"2030-05-06T09:30:00Z","starts_at":"2030-05-06T09:00:00Z"}`
	tenToHalfPast  = `{"ends_at":"2030-05-06T10:30:00Z","starts_at":"2030-05-06T10:00:00Z"}`
	on             = `{"status":"scheduled"}`
	off            = `{"status":"cancelled"}`
	silent         = `{"rsvp":{"response":"none","responded_at":null,"proposed_start":null,"proposed_end":null}}`
	yes            = `{"rsvp":{"response":"accepted","responded_at":"2030-05-06T08:05:00Z","proposed_start":null,"proposed_end":null}}`
	yesBefore      = `{"rsvp":{"response":"accepted","responded_at":"2030-05-06T07:00:00Z","proposed_start":null,"proposed_end":null}}`
	no             = `{"rsvp":{"response":"declined","responded_at":"2030-05-06T08:05:00Z","proposed_start":null,"proposed_end":null}}`
	tenInstead     = `{"rsvp":{"response":"tentative","responded_at":"2030-05-06T08:05:00Z","proposed_start":"2030-05-06T10:00:00Z","proposed_end":"2030-05-06T10:30:00Z"}}`
	graceBySelf    = `{"email":"grace@contoso.example","participant":"p-2"}`
)

func toTen(o *model.Observation) { o.StartsAt, o.EndsAt = at(10, 0), at(10, 30) }

func answer(r model.RSVP) func(*model.Observation) {
	return func(o *model.Observation) { o.Attendees[0].RSVP = r }
}

func all[T any](edits ...func(*T)) func(*T) {
	return func(v *T) {
		for _, edit := range edits {
			edit(v)
		}
	}
}

func withAnswer(r model.RSVP) func(*model.Session) {
	return func(s *model.Session) { s.Attendees[0].RSVP = r }
}

func isOff(s *model.Session) { s.Status = model.SessionCancelled }

// TestReconcileTells holds every row of the architecture's table of readings that the difference decides: what people did,
// and how often they are told of it.
func TestReconcileTells(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		session model.Session
		read    model.Observation
		want    []told
	}{
		"nothing happened": {stored(), unchanged(), nil},
		"moved":            {stored(), observed(toTen), []told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}}},
		"made longer": {
			stored(), observed(func(o *model.Observation) { o.EndsAt = at(10, 0) }),
			[]told{{model.KindRescheduled, "", nineToHalfPast, `{"ends_at":"2030-05-06T10:00:00Z","starts_at":"2030-05-06T09:00:00Z"}`}},
		},
		"moved, and the answer with it reset to year 4501": {
			session(withAnswer(accepted(at(7, 0)))),
			observed(all(toTen, answer(model.RSVP{Response: model.ResponseNone, RespondedAt: new(time.Date(4501, 1, 1, 0, 0, 0, 0, time.UTC))}))),
			[]told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}},
		},
		"moved, and answered again since": {
			session(withAnswer(accepted(at(7, 0)))), observed(all(toTen, answer(accepted(at(8, 5))))),
			[]told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}, {model.KindRSVPChanged, "p-2", yesBefore, yes}},
		},
		"moved, and the answer stands": {
			session(withAnswer(accepted(at(7, 0)))), observed(all(toTen, answer(accepted(at(7, 0))))),
			[]told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}},
		},
		"moved to the time that was proposed, the proposal gone": {
			session(withAnswer(proposed(at(7, 0), at(10, 0), at(10, 30)))), observed(toTen),
			[]told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}},
		},
		"cancelled": {
			stored(), observed(func(o *model.Observation) { o.Cancelled = true }), []told{{model.KindCancelled, "", on, off}},
		},
		"cancelled, and told of nothing else": {
			session(withAnswer(accepted(at(7, 0)))),
			observed(func(o *model.Observation) { o.Cancelled, o.JoinURL, o.Attendees = true, "", nil }),
			[]told{{model.KindCancelled, "", on, off}},
		},
		"moved and cancelled": {
			stored(), observed(all(toTen, func(o *model.Observation) { o.Cancelled = true })),
			[]told{{
				model.KindCancelled, "",
				`{"ends_at":"2030-05-06T09:30:00Z","starts_at":"2030-05-06T09:00:00Z","status":"scheduled"}`,
				`{"ends_at":"2030-05-06T10:30:00Z","starts_at":"2030-05-06T10:00:00Z","status":"cancelled"}`,
			}},
		},
		"gone":                {stored(), model.Observation{ReadAt: at(8, 10)}, []told{{model.KindCancelled, "", on, off}}},
		"gone, was cancelled": {session(isOff), model.Observation{ReadAt: at(8, 10)}, nil},
		"still cancelled":     {session(isOff), observed(func(o *model.Observation) { o.Cancelled = true }), nil},
		"cancelled, then moved": {
			session(isOff), observed(all(toTen, func(o *model.Observation) { o.Cancelled = true })),
			[]told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}},
		},
		"reinstated": {session(isOff), unchanged(), []told{{model.KindReinstated, "", off, on}}},
		"found again, the same version": {
			session(all(isOff, func(s *model.Session) { s.Vanished = true })),
			observed(func(o *model.Observation) { o.ChangeKey, o.LastModifiedAt = "k1", at(7, 0) }),
			[]told{{model.KindReinstated, "", off, on}},
		},
		"reinstated at another time": {
			session(isOff), observed(toTen),
			[]told{{model.KindReinstated, "", off, on}, {model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}},
		},
		"accepted": {stored(), observed(answer(accepted(at(8, 5)))), []told{{model.KindRSVPChanged, "p-2", silent, yes}}},
		"accepted, then declined": {
			session(withAnswer(accepted(at(7, 0)))), observed(answer(declined(at(8, 5)))),
			[]told{{model.KindRSVPChanged, "p-2", yesBefore, no}},
		},
		"no answer, in the words of year 1": {
			stored(), observed(answer(model.RSVP{RespondedAt: &time.Time{}})), nil,
		},
		"another time proposed": {
			stored(), observed(answer(proposed(at(8, 5), at(10, 0), at(10, 30)))),
			[]told{{model.KindTimeProposed, "p-2", silent, tenInstead}},
		},
		"another proposal": {
			session(withAnswer(proposed(at(8, 0), at(11, 0), at(11, 30)))), observed(answer(proposed(at(8, 5), at(10, 0), at(10, 30)))),
			[]told{{
				model.KindTimeProposed, "p-2",
				`{"rsvp":{"response":"tentative","responded_at":"2030-05-06T08:00:00Z","proposed_start":"2030-05-06T11:00:00Z","proposed_end":"2030-05-06T11:30:00Z"}}`,
				tenInstead,
			}},
		},
		"the proposal taken back": {
			session(withAnswer(proposed(at(8, 5), at(10, 0), at(10, 30)))), observed(answer(accepted(at(8, 5)))),
			[]told{{model.KindRSVPChanged, "p-2", tenInstead, yes}},
		},
		"one who stays silent and one from outside": {
			stored(),
			observed(func(o *model.Observation) {
				o.Attendees = append(o.Attendees, model.ObservedAttendee{Email: "eve@fabrikam.example", RSVP: noAnswer})
			}),
			[]told{{model.KindAttendeeAdded, "", "", `{"email":"eve@fabrikam.example","participant":null}`}},
		},
		"one of the programme added, who has answered": {
			stored(),
			observed(func(o *model.Observation) {
				o.Attendees = append(o.Attendees,
					model.ObservedAttendee{Email: "ada@contoso.example", Participant: "p-3", RSVP: accepted(at(8, 5))})
			}),
			[]told{
				{model.KindAttendeeAdded, "p-3", "", `{"email":"ada@contoso.example","participant":"p-3"}`},
				{model.KindRSVPChanged, "p-3", silent, yes},
			},
		},
		"the attendee removed": {
			stored(), observed(func(o *model.Observation) { o.Attendees = nil }),
			[]told{{model.KindAttendeeRemoved, "p-2", graceBySelf, ""}},
		},
		"an attendee listed twice": {
			stored(), observed(func(o *model.Observation) { o.Attendees = append(o.Attendees, o.Attendees[0]) }), nil,
		},
		"another link": {
			stored(), observed(func(o *model.Observation) { o.JoinURL = "https://teams.example/2" }),
			[]told{{model.KindMeetingLinkChanged, "", `{"join_url":"https://teams.example/1"}`, `{"join_url":"https://teams.example/2"}`}},
		},
		"the link of the first reading": {
			session(func(s *model.Session) { s.JoinURL, s.ReadAt, s.LastModifiedAt, s.ChangeKey = "", nil, nil, "" }), unchanged(), nil,
		},
		"linked with a time that was wrong": {
			session(func(s *model.Session) { s.ReadAt, s.LastModifiedAt, s.ChangeKey = nil, nil, "" }), observed(toTen),
			[]told{{model.KindRescheduled, "", nineToHalfPast, tenToHalfPast}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, changes, verdict := model.Reconcile(tt.session, tt.read)
			if diff := cmp.Diff(tt.want, tell(t, changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			want := model.VerdictUnchanged
			if len(tt.want) > 0 {
				want = model.VerdictChanged
			}
			if verdict != want {
				t.Errorf("verdict %v, want %v", verdict, want)
			}
			checkTaken(t, tt.session, next, tt.read, changes)
			if _, again, _ := model.Reconcile(next, tt.read); len(again) > 0 {
				t.Errorf("the same reading again tells %v", tell(t, again))
			}
		})
	}
}

// checkTaken holds what is true of every reading that was not stale.
func checkTaken(t *testing.T, before, next model.Session, o model.Observation, changes []model.Change) {
	t.Helper()
	if want := before.Version + int64(len(changes)); next.Version != want {
		t.Errorf("version %d after %d changes of version %d", next.Version, len(changes), before.Version)
	}
	for i, c := range changes {
		if c.Version != before.Version+int64(i)+1 || c.Tenant != "t" || c.Session != "s" || c.Source != model.SourceOutlook {
			t.Errorf("change %d is not addressed: %+v", i, c)
		}
		if !c.OccurredAt.Equal(o.LastModifiedAt) {
			t.Errorf("change %d occurred at %v, want Outlook's time %v", i, c.OccurredAt, o.LastModifiedAt)
		}
		if (c.Before != nil && !json.Valid(c.Before)) || (c.After != nil && !json.Valid(c.After)) {
			t.Errorf("change %d is no JSON: %s, %s", i, c.Before, c.After)
		}
	}
	if next.VerifiedAt == nil || !next.VerifiedAt.Equal(o.ReadAt) || !next.ReadAt.Equal(o.ReadAt) || next.State != model.OutlookInSync {
		t.Errorf("not verified: %v, %v, %v", next.VerifiedAt, next.ReadAt, next.State)
	}
	if next.Vanished == o.Found {
		t.Errorf("vanished %v after a reading that found %v", next.Vanished, o.Found)
	}
	if !o.Found {
		return
	}
	if next.EventID != o.EventID || next.ChangeKey != o.ChangeKey || !next.LastModifiedAt.Equal(o.LastModifiedAt) {
		t.Errorf("the event's version was not taken over: %+v", next)
	}
	if !next.StartsAt.Equal(o.StartsAt) || !next.EndsAt.Equal(o.EndsAt) || next.JoinURL != o.JoinURL {
		t.Errorf("the event's times and link were not taken over: %+v", next)
	}
	if got, want := next.Status == model.SessionCancelled, o.Cancelled; got != want {
		t.Errorf("cancelled %v, want %v", got, want)
	}
}

// TestReconcileOrder holds which of two readings is the older.
func TestReconcileOrder(t *testing.T) {
	t.Parallel()
	gone := session(all(isOff, func(s *model.Session) { s.Vanished = true }))
	tests := map[string]struct {
		session model.Session
		read    model.Observation
		want    model.Verdict
	}{
		"an older version, read later":             {stored(), observed(all(toTen, version("k0", at(6, 0)), readAt(at(9, 0)))), model.VerdictStale},
		"a newer version, read earlier":            {stored(), observed(all(toTen, version("k2", at(7, 1)), readAt(at(7, 30)))), model.VerdictChanged},
		"the same version, read later":             {stored(), observed(all(toTen, version("k1", at(7, 0)))), model.VerdictUnchanged},
		"the same version, read earlier":           {stored(), observed(all(toTen, version("k1", at(7, 0)), readAt(at(7, 30)))), model.VerdictUnchanged},
		"another version of that time":             {stored(), observed(all(toTen, version("k2", at(7, 0)))), model.VerdictChanged},
		"another version of that time, earlier":    {stored(), observed(all(toTen, version("k2", at(7, 0)), readAt(at(7, 30)))), model.VerdictStale},
		"gone, read earlier":                       {stored(), model.Observation{ReadAt: at(7, 59)}, model.VerdictStale},
		"gone, read at the same time":              {stored(), model.Observation{ReadAt: at(8, 0)}, model.VerdictStale},
		"gone, then found by an earlier reading":   {gone, observed(readAt(at(7, 30))), model.VerdictStale},
		"gone, then an old version":                {gone, observed(version("k0", at(6, 0))), model.VerdictStale},
		"gone, then found":                         {gone, unchanged(), model.VerdictChanged},
		"gone, then gone by an earlier reading":    {gone, model.Observation{ReadAt: at(7, 30)}, model.VerdictStale},
		"gone, then gone":                          {gone, model.Observation{ReadAt: at(8, 30)}, model.VerdictUnchanged},
		"gone before the first reading":            {session(func(s *model.Session) { s.ReadAt, s.LastModifiedAt = nil, nil }), model.Observation{ReadAt: at(6, 0)}, model.VerdictChanged},
		"differing by less than a microsecond":     {stored(), observed(version("k1", at(7, 0).Add(700*time.Nanosecond))), model.VerdictUnchanged},
		"a time zone other than UTC, same version": {stored(), observed(version("k1", at(7, 0).In(time.FixedZone("", 3600)))), model.VerdictUnchanged},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, changes, verdict := model.Reconcile(tt.session, tt.read)
			if verdict != tt.want {
				t.Fatalf("verdict %v, want %v", verdict, tt.want)
			}
			if verdict != model.VerdictChanged && len(changes) > 0 {
				t.Errorf("told %v", tell(t, changes))
			}
			if diff := cmp.Diff(tt.session, next); verdict == model.VerdictStale && diff != "" {
				t.Errorf("a stale reading changed the session:\n%s", diff)
			}
			if verdict == model.VerdictUnchanged && next.VerifiedAt.Before(*tt.session.VerifiedAt) {
				t.Errorf("verified at %v, before %v", next.VerifiedAt, tt.session.VerifiedAt)
			}
		})
	}
}

func version(key string, modified time.Time) func(*model.Observation) {
	return func(o *model.Observation) { o.ChangeKey, o.LastModifiedAt = key, modified }
}

func readAt(t time.Time) func(*model.Observation) {
	return func(o *model.Observation) { o.ReadAt = t }
}

// TestReconcileKeepsTheArgument makes sure that a session that somebody else still reads is not written to.
func TestReconcileKeepsTheArgument(t *testing.T) {
	t.Parallel()
	before := stored()
	model.Reconcile(before, observed(all(toTen, answer(accepted(at(8, 5))))))
	if diff := cmp.Diff(stored(), before); diff != "" {
		t.Errorf("Reconcile wrote to its argument:\n%s", diff)
	}
}
