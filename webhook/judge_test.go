package webhook

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

// goodItem is a change item that proves itself; edit changes it.
func goodItem(state string, edit func(*item)) *item {
	it := &item{
		subscriptionID: []byte(testSubscription), tenantID: []byte(testTenant), clientState: []byte(state),
		changeType: []byte("updated"), resource: []byte("Users/" + testMailbox + "/Events/" + testEvent),
		eventID: []byte(testEvent), etag: []byte(`W/"DwAA"`),
	}
	if edit != nil {
		edit(it)
	}
	return it
}

func TestJudgeAccepts(t *testing.T) {
	t.Parallel()
	states := testStates(t)
	state := signed(t, states)
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	hint := func(edit func(*model.Hint)) model.Hint {
		h := model.Hint{
			Tenant: testTenant, Mailbox: testMailbox, SubscriptionID: testSubscription, ChangeType: model.ChangeUpdated,
			EventID: testEvent, ChangeKey: "DwAA", ReceivedAt: at,
		}
		if edit != nil {
			edit(&h)
		}
		return h
	}
	tests := map[string]struct {
		edit func(*item)
		want model.Hint
	}{
		"plain": {nil, hint(nil)},
		"parenthesised resource": {func(it *item) {
			it.resource = []byte("Users('" + testMailbox + "')/Events('" + testEvent + "')")
		}, hint(nil)},
		"any case but the event's": {func(it *item) {
			it.resource = []byte("/uSERS/" + strings.ToUpper(testMailbox) + "/eVENTS/" + testEvent)
			it.tenantID = []byte(strings.ToUpper(testTenant))
		}, hint(nil)},
		"user at tenant": {func(it *item) {
			it.resource = []byte("users/" + testMailbox + "@" + testTenant + "/events/" + testEvent)
		}, hint(nil)},
		"no tenant":     {func(it *item) { it.tenantID = nil }, hint(nil)},
		"no etag":       {func(it *item) { it.etag = nil }, hint(func(h *model.Hint) { h.ChangeKey = "" })},
		"bare etag":     {func(it *item) { it.etag = []byte("DwAA") }, hint(nil)},
		"strong etag":   {func(it *item) { it.etag = []byte(`"DwAA"`) }, hint(nil)},
		"id, fall back": {func(it *item) { it.eventID = nil }, hint(nil)},
		"ids differ, resourceData's counts": {
			func(it *item) { it.eventID = []byte("Other=") }, hint(func(h *model.Hint) { h.EventID = "Other=" }),
		},
		"created":             {func(it *item) { it.changeType = []byte("created") }, hint(func(h *model.Hint) { h.ChangeType = model.ChangeCreated })},
		"deleted":             {func(it *item) { it.changeType = []byte("deleted") }, hint(func(h *model.Hint) { h.ChangeType = model.ChangeDeleted })},
		"unknown change type": {func(it *item) { it.changeType = []byte("archived") }, hint(func(h *model.Hint) { h.ChangeType = "archived" })},
		"lifecycle": {func(it *item) {
			*it = item{subscriptionID: it.subscriptionID, clientState: it.clientState, lifecycleEvent: []byte("missed")}
		}, model.Hint{Tenant: testTenant, Mailbox: testMailbox, SubscriptionID: testSubscription, Lifecycle: model.LifecycleMissed, ReceivedAt: at}},
		"unknown lifecycle": {func(it *item) {
			*it = item{subscriptionID: it.subscriptionID, clientState: it.clientState, lifecycleEvent: []byte("paused")}
		}, model.Hint{Tenant: testTenant, Mailbox: testMailbox, SubscriptionID: testSubscription, Lifecycle: "paused", ReceivedAt: at}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, verdict := judge(states, goodItem(state, tt.edit), at)
			if verdict != resultAccepted {
				t.Fatalf("verdict %v", verdict)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJudgeDrops(t *testing.T) {
	t.Parallel()
	states := testStates(t)
	state := signed(t, states)
	const other = "00000000-0683-4862-9de4-f2ec83c2bd98"
	resource := func(s string) func(*item) { return func(it *item) { it.resource = []byte(s) } }
	tests := map[string]struct {
		edit func(*item)
		want result
	}{
		"no client state":      {func(it *item) { it.clientState = nil }, resultBadClientState},
		"forged":               {func(it *item) { it.clientState = []byte(strings.Repeat("A", 84)) }, resultBadClientState},
		"another tenant":       {func(it *item) { it.tenantID = []byte(other) }, resultBadClientState},
		"another user":         {resource("Users/" + other + "/Events/" + testEvent), resultBadClientState},
		"another user at":      {resource("Users/" + testMailbox + "@" + other + "/Events/" + testEvent), resultBadClientState},
		"not an object":        {func(it *item) { *it = item{notObject: true} }, resultMalformed},
		"a message":            {resource("Users/" + testMailbox + "/Messages/" + testEvent), resultMalformed},
		"no event":             {resource("Users/" + testMailbox + "/Events"), resultMalformed},
		"empty event":          {resource("Users/" + testMailbox + "/Events/"), resultMalformed},
		"empty user":           {resource("Users//Events/" + testEvent), resultMalformed},
		"something below":      {resource("Users/" + testMailbox + "/Events/" + testEvent + "/attachments"), resultMalformed},
		"another collection":   {resource("Groups/" + testMailbox + "/Events/" + testEvent), resultMalformed},
		"half parenthesised":   {resource("Users('" + testMailbox + "/Events/" + testEvent), resultMalformed},
		"empty parentheses":    {resource("Users('')/Events('x')"), resultMalformed},
		"one quote":            {resource("Users(')/Events('x')"), resultMalformed},
		"no resource":          {resource(""), resultMalformed},
		"no change type":       {func(it *item) { it.changeType = nil }, resultMalformed},
		"long change type":     {func(it *item) { it.changeType = make([]byte, 65) }, resultMalformed},
		"long event":           {func(it *item) { it.eventID = make([]byte, 1025) }, resultMalformed},
		"long etag":            {func(it *item) { it.etag = make([]byte, 1025) }, resultMalformed},
		"long subscription":    {func(it *item) { it.subscriptionID = make([]byte, 1025) }, resultMalformed},
		"long lifecycle":       {func(it *item) { it.lifecycleEvent = make([]byte, 65) }, resultMalformed},
		"lifecycle of nothing": {func(it *item) { it.lifecycleEvent, it.subscriptionID = []byte("missed"), nil }, resultMalformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hint, verdict := judge(states, goodItem(state, tt.edit), time.Now())
			if verdict != tt.want || hint != (model.Hint{}) {
				t.Errorf("verdict %v, hint %+v; want %v and none", verdict, hint, tt.want)
			}
		})
	}
}

func TestJudgePublishedPayloadsAreNotOurs(t *testing.T) {
	t.Parallel()
	states := testStates(t)
	for name, data := range fixtures(t, "*.json") {
		if !strings.HasPrefix(name, "notif-") && !strings.HasPrefix(name, "lifecycle-") {
			continue
		}
		p := newParsers(10).get()
		items, err := p.collection(data)
		if err != nil {
			continue
		}
		for i := range items {
			if _, verdict := judge(states, &items[i], time.Now()); verdict != resultBadClientState {
				t.Errorf("%s: verdict %v", name, verdict)
			}
		}
	}
}

func FuzzCutResource(f *testing.F) {
	for _, s := range []string{"Users/a/Events/b", "Users('a')/Events('b')", "users('", "Users(", "/", "Users/a/Events(')", "Users//Events/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		user, event, ok := cutResource([]byte(s))
		if ok && (len(user) == 0 || len(event) == 0 || !strings.Contains(s, string(user)) || !strings.HasSuffix(strings.TrimSuffix(s, "')"), string(event))) {
			t.Errorf("%q: user %q, event %q", s, user, event)
		}
	})
}
