package console_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pairsync/model"
)

// link links a session straight in the store.
func (a *api) link(tenant, id string) {
	a.t.Helper()
	at := time.Date(2099, 12, 1, 9, 0, 0, 0, time.UTC)
	_, _, err := a.store.PutSession(a.t.Context(), model.SessionRequest{
		Tenant: tenant, ID: id, Organizer: "p-1", Attendees: []string{"p-2"}, StartsAt: at, EndsAt: at.Add(time.Hour),
		TimeZone: "UTC", EventID: "event-" + id,
	})
	if err != nil {
		a.t.Error(err)
	}
}

// linkMany links sessions of both tenants from several goroutines at once, so that commits overlap; the returned function
// waits for the last one.
func (a *api) linkMany(prefix string, writers, each int) (wait func()) {
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				tenant := []string{adaTenant, otherTenant}[(w+i)%2]
				a.link(tenant, fmt.Sprintf("%s-%d-%d", prefix, w, i))
			}
		})
	}
	return group.Wait
}

// readFeed follows the feed in pages until it has given as many changes as wanted.
func (a *api) readFeed(token, after string, limit, wanted int) []changeJSON {
	a.t.Helper()
	var got []changeJSON
	deadline := time.Now().Add(30 * time.Second)
	for len(got) < wanted && time.Now().Before(deadline) {
		res := a.request("GET", fmt.Sprintf("/v1/changes?limit=%d&after=%s", limit, after), token, "").want(a.t, 200)
		p := decode[listJSON[changeJSON]](a.t, res)
		if p.NextCursor == nil {
			a.t.Fatalf("the feed's next_cursor is null: %s", res.body)
		}
		got = append(got, p.Items...)
		after = *p.NextCursor
	}
	return got
}

func sessionsOf(changes []changeJSON) []string {
	var ids []string
	for _, c := range changes {
		ids = append(ids, c.Tenant+"/"+c.Session)
	}
	return ids
}

// rising fails the test unless cursors only rise.
func rising(tb testing.TB, changes []changeJSON) {
	tb.Helper()
	last := int64(0)
	for _, c := range changes {
		cursor, err := strconv.ParseInt(c.Cursor, 10, 64)
		if err != nil || cursor <= last {
			tb.Errorf("cursor %q comes after %d: %v", c.Cursor, last, err)
		}
		last = cursor
	}
}

func TestFeedSkipsNothingWhileWritesGoOn(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	a.people(otherTenant, "p-1", "p-2")
	const writers, each = 4, 15
	wait := a.linkMany("s", writers, each)
	live := a.readFeed(allToken, "", 7, writers*each)
	wait()
	settled := a.readFeed(allToken, "0", 1000, writers*each)
	if diff := cmp.Diff(sessionsOf(settled), sessionsOf(live)); diff != "" {
		t.Errorf("read while writing, against read afterwards (-afterwards +while):\n%s", diff)
	}
	rising(t, live)
	ids := sessionsOf(live)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != writers*each {
		t.Errorf("%d changes of %d are told apart", len(ids), writers*each)
	}
	// One tenant's token sees the same feed without the rest of it.
	var want []string
	for _, c := range settled {
		if c.Tenant == adaTenant {
			want = append(want, c.Tenant+"/"+c.Session)
		}
	}
	if diff := cmp.Diff(want, sessionsOf(a.readFeed(adaToken, "", 5, len(want)))); diff != "" {
		t.Errorf("the limited token's feed (-want +got):\n%s", diff)
	}
	filtered := decode[listJSON[changeJSON]](t, a.get("/v1/changes?limit=1000&tenant="+adaTenant).want(t, 200))
	if diff := cmp.Diff(want, sessionsOf(filtered.Items)); diff != "" {
		t.Errorf("the feed of one tenant (-want +got):\n%s", diff)
	}
}

func TestFeedCursors(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	if got := a.get("/v1/changes").want(t, 200); string(got.body) != `{"items":[],"next_cursor":"0"}`+"\n" {
		t.Errorf("the empty feed is %s", got.body)
	}
	a.people(adaTenant, "p-1", "p-2")
	a.link(adaTenant, "s-1")
	a.link(adaTenant, "s-2")
	all := decode[listJSON[changeJSON]](t, a.get("/v1/changes"))
	if len(all.Items) != 2 || *all.NextCursor != all.Items[1].Cursor {
		t.Fatalf("the feed is %+v", all)
	}
	for _, path := range []string{"/v1/changes?after=", "/v1/changes?cursor="} {
		rest := decode[listJSON[changeJSON]](t, a.get(path+all.Items[0].Cursor).want(t, 200))
		if len(rest.Items) != 1 || rest.Items[0].ID != all.Items[1].ID {
			t.Errorf("%s after the first: %+v", path, rest)
		}
		end := decode[listJSON[changeJSON]](t, a.get(path+*all.NextCursor).want(t, 200))
		if len(end.Items) != 0 || *end.NextCursor != *all.NextCursor {
			t.Errorf("%s at the end: %+v", path, end)
		}
	}
	for query, field := range map[string]string{
		"?after=x": "after", "?after=-1": "after", "?after=1.5": "after", "?after=99999999999999999999": "after", "?cursor=x": "cursor",
		"?limit=none": "limit", "?since=1": "since", "?after=1&after=2": "after",
	} {
		a.get("/v1/changes"+query).refused(t, 400, field)
	}
	a.get("/v1/changes?tenant="+otherTenant).refused(t, 404, "")
}

func TestPagingThroughHistory(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.people(adaTenant, "p-1", "p-2")
	a.link(adaTenant, "s-1")
	a.link(adaTenant, "s-2")
	for i := range 6 {
		a.observe("s-1", func(o *model.Observation) { o.StartsAt = o.StartsAt.Add(time.Duration(i+1) * time.Minute) })
	}
	path := sessionPath(adaTenant, "s-1") + "/changes"
	for _, limit := range []int{1, 3, 7, 8} {
		var got []changeJSON
		cursor := ""
		for {
			p := decode[listJSON[changeJSON]](t, a.get(fmt.Sprintf("%s?limit=%d&cursor=%s", path, limit, cursor)).want(t, 200))
			got = append(got, p.Items...)
			if p.NextCursor == nil {
				break
			}
			cursor = *p.NextCursor
		}
		rising(t, got)
		for i, c := range got {
			if c.Session != "s-1" || c.Version != int64(i+1) {
				t.Errorf("pages of %d: change %d is %+v", limit, i, c)
			}
		}
		if len(got) != 7 {
			t.Errorf("pages of %d give %d changes, want 7", limit, len(got))
		}
	}
	a.get(path+"?cursor=x").refused(t, 400, "cursor")
	a.get(sessionPath(adaTenant, "s-9")+"/changes").refused(t, 404, "")
}
