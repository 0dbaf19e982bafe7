package simulator

import (
	"strings"
	"time"
)

// The change types of notifications. https://learn.microsoft.com/graph/api/resources/changenotification
const (
	changeCreated = "created"
	changeUpdated = "updated"
	changeDeleted = "deleted"
)

// tx is one action of somebody and all it leaves on all copies. It holds the world's lock from begin to end.
type tx struct {
	s   *Simulator
	now time.Time
	// changed are the items in the order in which they were first touched.
	changed []*item
	seen    map[*item]bool
	// told is what the subscriptions of each item's mailbox hear of it.
	told    map[*item]string
	order   []*item
	stamped bool
}

// begin opens a transaction. Every begin is followed by an end.
func (s *Simulator) begin() *tx {
	s.world.mu.Lock()
	return &tx{s: s, now: time.Now().UTC().Truncate(100 * time.Nanosecond), seen: map[*item]bool{}, told: map[*item]string{}}
}

// edit hands out an item's state for writing and remembers how it was. Subscriptions hear of it as updated.
func (t *tx) edit(it *item) *state {
	t.touch(it)
	t.tell(it, changeUpdated)
	return &it.state
}

// touch marks an item as changed.
func (t *tx) touch(it *item) {
	if t.seen[it] {
		return
	}
	t.seen[it] = true
	t.changed = append(t.changed, it)
	before := it.state.clone()
	it.before = &before
}

// tell notes what subscriptions hear of an item: the first word stands, but deletion has the last.
func (t *tx) tell(it *item, change string) {
	it = it.notifies()
	if _, ok := t.told[it]; !ok {
		t.order = append(t.order, it)
		t.told[it] = change
		return
	}
	if change == changeDeleted {
		t.told[it] = change
	}
}

// add puts a new item into its mailbox.
func (t *tx) add(it *item) {
	t.s.world.addItem(it)
	t.seen[it] = true
	t.changed = append(t.changed, it)
	if it.master == nil {
		t.tell(it, changeCreated)
	}
}

// remove moves an item to Deleted Items, where it can no longer be had under its old default id.
func (t *tx) remove(it *item) {
	if it.deleted {
		return
	}
	t.touch(it)
	it.deleted, it.deletedAt = true, t.now
	if it.master != nil {
		t.edit(it.master)
		return
	}
	delete(it.box.live, it)
	t.s.world.moveItem(it)
	for _, o := range it.instances {
		if !o.deleted {
			o.deleted, o.deletedAt = true, t.now
		}
	}
	t.tell(it, changeDeleted)
}

// bringBack moves an item from Deleted Items to the calendar.
func (t *tx) bringBack(it *item) {
	if !it.deleted {
		return
	}
	t.touch(it)
	it.deleted = false
	if it.master != nil {
		t.edit(it.master)
		return
	}
	it.box.live[it] = struct{}{}
	t.s.world.moveItem(it)
	for _, o := range it.instances {
		// An instance that was called off by itself stays so.
		if o.deletedAt.Equal(it.deletedAt) {
			o.deleted = false
		}
	}
	t.tell(it, changeCreated)
}

// stamp gives what changed its new version, so that an answer can show it before the transaction ends.
func (t *tx) stamp() {
	if t.stamped {
		return
	}
	t.stamped = true
	// No mailbox sees the same instant twice, nor a clock that steps back.
	for _, it := range t.changed {
		if !t.now.After(it.box.last) {
			t.now = it.box.last.Add(100 * time.Nanosecond)
		}
	}
	for _, it := range t.changed {
		it.box.last = t.now
		it.box.version++
		it.state.Modified, it.state.Version = t.now, it.box.version
	}
}

// end queues the notifications in the order of the changes and gives the lock back.
func (t *tx) end() {
	defer t.s.world.mu.Unlock()
	if len(t.changed) == 0 {
		return
	}
	t.stamp()
	for _, it := range t.order {
		t.s.courier.changed(it, t.told[it], t.now)
	}
	t.s.saver.dirty()
	t.s.feed.publish()
}

// sameAddress compares e-mail addresses as Exchange does.
func sameAddress(a, b string) bool { return strings.EqualFold(a, b) }
