package simulator

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// left is what an action leaves behind: on the copies as Graph shows them, and as notifications to their mailboxes.
type left struct {
	// organizer and attendee are the status of a GET of the copy, Ada's and Grace's.
	organizer, attendee int
	// tally is Grace's answer on Ada's copy and its time: none, sentinel or set.
	tally, tallyTime string
	proposed         bool
	// own is Grace's answer on her own copy.
	own string
	// cancelled and moved are of Grace's copy.
	cancelled bool
	showAs    string
	// organizerHears and attendeeHears are change types in order.
	organizerHears, attendeeHears string
}

// TestWhatEachActionLeavesBehind is the table of what Outlook does to both copies.
func TestWhatEachActionLeavesBehind(t *testing.T) {
	t.Parallel()
	later := monday().Add(2 * time.Hour)
	graph := func(method, path string, body any, want int) func(*testing.T, *office, Booked) {
		return func(t *testing.T, o *office, b Booked) {
			t.Helper()
			path := strings.NewReplacer(
				"{ada}", "/users/"+b.Mailbox+"/events/"+b.ID, "{grace}", "/users/"+o.id(t, email("Grace"))+"/events/"+b.Copies[email("Grace")],
			).Replace(path)
			o.graph(t, want, method, path, body, immutable())
		}
	}
	times := map[string]any{
		"start": wallTime{later.Format(localTime), "UTC"}, "end": wallTime{later.Add(time.Hour).Format(localTime), "UTC"},
	}
	accept := graph(http.MethodPost, "{grace}/accept", nil, http.StatusAccepted)
	both := func(fs ...func(*testing.T, *office, Booked)) func(*testing.T, *office, Booked) {
		return func(t *testing.T, o *office, b Booked) {
			t.Helper()
			for _, f := range fs {
				f(t, o, b)
				o.settle(t)
			}
		}
	}
	invited := left{
		organizer: 200, attendee: 200, tally: answerNone, tallyTime: "none", own: answerNotResponded, showAs: "tentative",
		organizerHears: "created", attendeeHears: "created",
	}
	but := func(change func(l *left)) left {
		l := invited
		change(&l)
		return l
	}
	tests := map[string]struct {
		do   func(*testing.T, *office, Booked)
		keep bool
		want left
	}{
		"invitation": {do: func(*testing.T, *office, Booked) {}, want: invited},
		"acceptance": {do: accept, want: but(func(l *left) {
			l.tally, l.tallyTime, l.own, l.showAs = answerAccepted, "set", answerAccepted, "busy"
			l.organizerHears, l.attendeeHears = "created updated", "created updated"
		})},
		"tentative acceptance": {do: graph(http.MethodPost, "{grace}/tentativelyAccept", nil, http.StatusAccepted), want: but(func(l *left) {
			l.tally, l.tallyTime, l.own = answerTentative, "set", answerTentative
			l.organizerHears, l.attendeeHears = "created updated", "created updated"
		})},
		"acceptance that is not sent": {
			do: graph(http.MethodPost, "{grace}/accept", map[string]any{"sendResponse": false}, http.StatusAccepted),
			want: but(func(l *left) {
				l.own, l.showAs, l.attendeeHears = answerAccepted, "busy", "created updated"
			}),
		},
		"refusal": {do: graph(http.MethodPost, "{grace}/decline", nil, http.StatusAccepted), want: but(func(l *left) {
			l.attendee, l.tally, l.tallyTime, l.own, l.showAs = 404, answerDeclined, "set", answerDeclined, "free"
			l.organizerHears, l.attendeeHears = "created updated", "created deleted"
		})},
		"refusal by one who keeps them": {keep: true, do: graph(http.MethodPost, "{grace}/decline", nil, http.StatusAccepted), want: but(func(l *left) {
			l.tally, l.tallyTime, l.own, l.showAs = answerDeclined, "set", answerDeclined, "free"
			l.organizerHears, l.attendeeHears = "created updated", "created updated"
		})},
		"proposal": {
			do: graph(http.MethodPost, "{grace}/tentativelyAccept", map[string]any{"proposedNewTime": times}, http.StatusAccepted),
			want: but(func(l *left) {
				l.tally, l.tallyTime, l.own, l.proposed = answerTentative, "set", answerTentative, true
				l.organizerHears, l.attendeeHears = "created updated", "created updated"
			}),
		},
		"reschedule after a proposal": {
			do: both(graph(http.MethodPost, "{grace}/tentativelyAccept", map[string]any{"proposedNewTime": times}, http.StatusAccepted),
				graph(http.MethodPatch, "{ada}", times, http.StatusOK)),
			want: but(func(l *left) {
				l.tally, l.tallyTime = answerNotResponded, "sentinel"
				l.organizerHears, l.attendeeHears = "created updated updated", "created updated updated"
			}),
		},
		"reschedule after a refusal invites again": {
			do: both(graph(http.MethodPost, "{grace}/decline", nil, http.StatusAccepted), graph(http.MethodPatch, "{ada}", times, http.StatusOK)),
			want: but(func(l *left) {
				l.tally, l.tallyTime = answerNotResponded, "sentinel"
				l.organizerHears, l.attendeeHears = "created updated updated", "created deleted created"
			}),
		},
		"cancellation": {do: graph(http.MethodPost, "{ada}/cancel", map[string]any{"comment": "ill"}, http.StatusAccepted), want: but(func(l *left) {
			l.organizer, l.cancelled, l.showAs = 404, true, "free"
			l.organizerHears, l.attendeeHears = "created deleted", "created updated"
		})},
		"deletion by the organizer": {do: graph(http.MethodDelete, "{ada}", nil, http.StatusNoContent), want: but(func(l *left) {
			l.organizer, l.cancelled, l.showAs = 404, true, "free"
			l.organizerHears, l.attendeeHears = "created deleted", "created updated"
		})},
		"deletion by the attendee": {do: graph(http.MethodDelete, "{grace}", nil, http.StatusNoContent), want: but(func(l *left) {
			l.attendee, l.attendeeHears = 404, "created deleted"
		})},
		"cancellation by the attendee": {do: graph(http.MethodPost, "{grace}/cancel", nil, http.StatusBadRequest), want: invited},
		"answer of the organizer":      {do: graph(http.MethodPost, "{ada}/accept", nil, http.StatusBadRequest), want: invited},
		"proposal that is not sent": {
			do:   graph(http.MethodPost, "{grace}/tentativelyAccept", map[string]any{"proposedNewTime": times, "sendResponse": false}, http.StatusBadRequest),
			want: invited,
		},
		"removal of the attendee": {do: graph(http.MethodPatch, "{ada}", map[string]any{"attendees": []any{}}, http.StatusOK), want: but(func(l *left) {
			l.tally, l.tallyTime, l.cancelled, l.showAs = "absent", "", true, "free"
			l.organizerHears, l.attendeeHears = "created updated", "created updated"
		})},
		"an answer put there by the organizer": {
			do: graph(http.MethodPatch, "{ada}", map[string]any{"attendees": []any{map[string]any{
				"emailAddress": map[string]any{"address": email("Grace")}, "type": "required", "status": map[string]any{"response": "accepted"},
			}}}, http.StatusOK),
			want: but(func(l *left) { l.organizerHears = "created updated" }),
		},
		"a dismissed reminder": {do: graph(http.MethodPost, "{ada}/dismissReminder", nil, http.StatusOK), want: but(func(l *left) {
			l.organizerHears = "created updated"
		})},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, Config{})
			if _, err := o.AddUser(User{Tenant: contoso, Name: "Grace", Email: email("Grace"), KeepDeclined: test.keep}); err != nil {
				t.Fatal(err)
			}
			d := newDoor(t)
			o.subscribe(t, d, email("Ada"), immutable())
			o.subscribe(t, d, email("Grace"), immutable())
			b := o.pair(t)
			o.settle(t)
			test.do(t, o, b)
			o.settle(t)
			if diff := cmp.Diff(test.want, o.leaves(t, d, b), cmp.AllowUnexported(left{})); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
		})
	}
}

// leaves reads what is there now, through Graph.
func (o *office) leaves(t *testing.T, d *door, b Booked) left {
	t.Helper()
	var l left
	now, err := o.CopyOf(email("Grace"), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	status, org := o.do(t, o.request(t, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID, nil, immutable()))
	l.organizer = status
	own := now.Response
	status, mine := o.do(t, o.request(t, http.MethodGet, "/users/"+o.id(t, email("Grace"))+"/events/"+now.ID, nil, immutable()))
	l.attendee, l.own = status, own
	if status == http.StatusOK {
		l.own, l.cancelled, l.showAs = text(t, mine, "responseStatus", "response"), mine["isCancelled"] == true, text(t, mine, "showAs")
		if l.cancelled != strings.HasPrefix(text(t, mine, "subject"), "Canceled: ") {
			t.Errorf("subject %q with isCancelled %v", mine["subject"], mine["isCancelled"])
		}
	} else {
		l.showAs = showAs(t, o, now.ID)
	}
	l.tally, l.tallyTime = answerNone, "none"
	if l.organizer == http.StatusOK {
		l.tally, l.tallyTime, l.proposed = tallied(t, org)
	}
	for _, it := range d.all() {
		word := text(t, it, "changeType") + " "
		if strings.Contains(text(t, it, "resource"), b.Mailbox) {
			l.organizerHears += word
		} else {
			l.attendeeHears += word
		}
	}
	l.organizerHears, l.attendeeHears = strings.TrimSpace(l.organizerHears), strings.TrimSpace(l.attendeeHears)
	return l
}

func showAs(t *testing.T, o *office, id string) string {
	t.Helper()
	o.world.mu.RLock()
	defer o.world.mu.RUnlock()
	return o.world.items[id].state.ShowAs
}

func tallied(t *testing.T, org map[string]any) (response, when string, proposed bool) {
	t.Helper()
	people, _ := org["attendees"].([]any)
	i := slices.IndexFunc(people, func(p any) bool { return text(t, p.(map[string]any), "emailAddress", "address") == email("Grace") })
	if i < 0 {
		return "absent", "", false
	}
	p := people[i].(map[string]any)
	switch at := text(t, p, "status", "time"); at {
	case "0001-01-01T00:00:00Z":
		when = "none"
	case "4501-01-01T00:00:00Z":
		when = "sentinel"
	default:
		when = "set"
		if _, err := time.Parse(graphTime, at); err != nil {
			t.Errorf("answered at %q, which is not Graph's layout", at)
		}
	}
	return text(t, p, "status", "response"), when, p["proposedNewTime"] != nil
}

func TestDeletionLeavesShowAsAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	if err := o.Delete(email("Grace"), b.ID); err != nil {
		t.Fatal(err)
	}
	if err := o.Accept(email("Grace"), b.ID); err == nil {
		t.Error("a copy in Deleted Items could be answered")
	}
	if v, err := o.Event(b.ID); err != nil || v.Attendees[0].Response != answerNone {
		t.Errorf("organizer's copy %+v, %v", v, err)
	}
}

func TestEveryChangeMovesVersionAndTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	read := func() (key string, at time.Time) {
		e := o.graph(t, http.StatusOK, http.MethodGet, "/users/"+b.Mailbox+"/events/"+b.ID, nil, immutable())
		at, err := time.Parse(graphTime, text(t, e, "lastModifiedDateTime"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := text(t, e, "@odata.etag"), `W/"`+text(t, e, "changeKey")+`"`; got != want {
			t.Errorf("etag %s, want %s", got, want)
		}
		return text(t, e, "changeKey"), at
	}
	seen := map[string]bool{}
	key, last := read()
	seen[key] = true
	for i := range 200 {
		start := monday().Add(time.Duration(i+1) * time.Minute)
		if err := o.Move(b.ID, start, start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		key, at := read()
		if seen[key] || !at.After(last) {
			t.Fatalf("move %d: change key %s (seen before: %v), modified %s after %s", i, key, seen[key], at, last)
		}
		seen[key], last = true, at
	}
}

func TestRestoredMeetingIsBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{})
	b := o.pair(t)
	path := "/users/" + b.Mailbox + "/events/"
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	o.graph(t, http.StatusNotFound, http.MethodGet, path+b.ID, nil)
	if err := o.Restore(email("Ada"), b.ID); err != nil {
		t.Fatal(err)
	}
	e := o.graph(t, http.StatusOK, http.MethodGet, path+b.ID, nil, immutable())
	if e["isCancelled"] != false || text(t, e, "id") != b.ID {
		t.Errorf("restored as %v", e)
	}
	// The default id does not survive the two moves, the immutable one does.
	o.graph(t, http.StatusNotFound, http.MethodGet, path+b.DefaultID, nil)
	if v, err := o.CopyOf(email("Grace"), b.ID); err != nil || v.Cancelled {
		t.Errorf("the attendee's copy after the restoration: %+v, %v", v, err)
	}
}

func TestKeptCancelledMeetingIsReadByImmutableIDOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t, Config{Behaviour: Behaviour{KeepCancelled: true}})
	b := o.pair(t)
	if err := o.Cancel(b.ID); err != nil {
		t.Fatal(err)
	}
	path := "/users/" + b.Mailbox + "/events/"
	if e := o.graph(t, http.StatusOK, http.MethodGet, path+b.ID, nil, immutable()); e["isCancelled"] != true {
		t.Errorf("isCancelled %v", e["isCancelled"])
	}
	o.graph(t, http.StatusNotFound, http.MethodGet, path+b.DefaultID, nil)
	o.graph(t, http.StatusNotFound, http.MethodPatch, path+b.ID, map[string]any{"subject": "x"})
}
