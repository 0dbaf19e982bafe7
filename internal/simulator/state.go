package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// saved is the state file. Its first field is the version of its shape.
type saved struct {
	Version       int                 `json:"version"`
	SigningKey    string              `json:"signing_key"`
	Tenants       []Tenant            `json:"tenants"`
	Boxes         []savedBox          `json:"mailboxes"`
	Subscriptions []savedSubscription `json:"subscriptions"`
	Undelivered   []*delivery         `json:"undelivered"`
	Sessions      []savedSession      `json:"sessions,omitempty"`
	Redirects     map[string][]string `json:"redirects,omitempty"`
}

type savedBox struct {
	User     User         `json:"user"`
	Working  workingHours `json:"working"`
	Stamp    [16]byte     `json:"stamp"`
	Version  uint64       `json:"version"`
	LastTime time.Time    `json:"last"`
	Items    []savedItem  `json:"items"`
}

type savedItem struct {
	ID            string    `json:"id"`
	LegacyID      string    `json:"legacyId"`
	Meeting       string    `json:"meeting"`
	UID           string    `json:"uid"`
	Transaction   string    `json:"transaction,omitempty"`
	Kind          string    `json:"kind"`
	Organizer     bool      `json:"organizer"`
	Newest        bool      `json:"newest"`
	Created       time.Time `json:"created"`
	State         state     `json:"state"`
	Deleted       bool      `json:"deleted,omitempty"`
	DeletedAt     time.Time `json:"deletedAt"`
	Master        string    `json:"master,omitempty"`
	Day           string    `json:"day,omitempty"`
	Gone          bool      `json:"gone,omitempty"`
	OriginalStart time.Time `json:"originalStart"`
}

type savedSubscription struct {
	ID              string    `json:"id"`
	App             string    `json:"app"`
	Creator         string    `json:"creator"`
	Tenant          string    `json:"tenant"`
	Box             string    `json:"mailbox"`
	Resource        string    `json:"resource"`
	Changes         []string  `json:"changes"`
	NotificationURL string    `json:"notificationUrl"`
	LifecycleURL    string    `json:"lifecycleUrl"`
	ClientState     string    `json:"clientState"`
	TLS             string    `json:"tls"`
	Immutable       bool      `json:"immutable"`
	Expires         time.Time `json:"expires"`
	Granted         time.Time `json:"granted"`
	Warn            time.Time `json:"warn"`
}

// snapshot is everything as it stands.
func (s *Simulator) snapshot() *saved {
	w := s.world
	w.mu.RLock()
	out := &saved{Version: 1, SigningKey: s.tokens.pem()}
	for _, t := range w.tenants {
		out.Tenants = append(out.Tenants, t.tenant())
		for _, box := range t.boxes {
			out.Boxes = append(out.Boxes, box.save())
		}
	}
	for _, sub := range w.subs {
		out.Subscriptions = append(out.Subscriptions, savedSubscription{
			ID: sub.id, App: sub.app, Creator: sub.creator, Tenant: sub.tenant.id, Box: sub.box.id, Resource: sub.resource,
			Changes: sub.changes, NotificationURL: sub.notificationURL, LifecycleURL: sub.lifecycleURL,
			ClientState: sub.clientState, TLS: sub.tls, Immutable: sub.immutable, Expires: sub.expires, Granted: sub.granted,
			Warn: sub.warn,
		})
	}
	for _, ses := range w.sessions {
		out.Sessions = append(out.Sessions, ses.save())
	}
	out.Redirects = maps.Clone(w.redirects)
	w.mu.RUnlock()
	out.Undelivered = s.courier.undelivered()
	return out
}

func (box *mailbox) save() savedBox {
	out := savedBox{User: box.user(), Working: box.working, Stamp: box.stamp, Version: box.version, LastTime: box.last}
	for id, it := range box.byID {
		if id != it.id {
			continue // Each item is in there twice.
		}
		si := savedItem{
			ID: it.id, LegacyID: it.legacyID, Meeting: it.meeting.uid, UID: it.uid, Transaction: it.transaction, Kind: it.kind,
			Organizer: it.organizer, Newest: it.meeting.copies[box] == it, Created: it.created, State: it.state.clone(),
			Deleted: it.deleted, DeletedAt: it.deletedAt, Day: it.day, OriginalStart: it.originalStart,
		}
		if it.master != nil {
			si.Master = it.master.id
			si.Gone = it.master.instance(it.day) != it
		}
		out.Items = append(out.Items, si)
	}
	return out
}

// load reads the state file, if there is one.
func (s *Simulator) load() error {
	if s.cfg.StateFile == "" {
		return nil
	}
	b, err := os.ReadFile(s.cfg.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var in saved
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("reading %s: %w", s.cfg.StateFile, err)
	}
	if in.Version != 1 {
		return fmt.Errorf("%s has version %d of the state's shape, not 1", s.cfg.StateFile, in.Version)
	}
	if err := s.tokens.usePEM(in.SigningKey); err != nil {
		return err
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range in.Tenants {
		w.tenants[t.ID] = &tenant{
			id: t.ID, name: t.Name, domain: t.Domain, consent: t.Consent, adminsOnly: t.AdminsOnly, subs: map[string]*subscription{},
		}
	}
	for _, sb := range in.Boxes {
		if err := w.loadBox(sb); err != nil {
			return err
		}
	}
	for _, ss := range in.Subscriptions {
		t, box := w.tenants[ss.Tenant], w.users[ss.Box]
		if t == nil || box == nil {
			return fmt.Errorf("subscription %s: %w", ss.ID, errNotFound)
		}
		sub := &subscription{
			id: ss.ID, app: ss.App, creator: ss.Creator, tenant: t, box: box, resource: ss.Resource, changes: ss.Changes,
			notificationURL: ss.NotificationURL, lifecycleURL: ss.LifecycleURL, clientState: ss.ClientState, tls: ss.TLS,
			immutable: ss.Immutable, expires: ss.Expires, granted: ss.Granted, warn: ss.Warn,
		}
		w.index(sub)
		s.courier.watch(sub)
	}
	for _, ses := range in.Sessions {
		if err := w.loadSession(ses); err != nil {
			return err
		}
	}
	maps.Copy(w.redirects, in.Redirects)
	s.courier.takeBack(in.Undelivered)
	return nil
}

func (w *world) loadBox(sb savedBox) error {
	t := w.tenants[sb.User.Tenant]
	if t == nil {
		return fmt.Errorf("organisation of mailbox %s: %w", sb.User.ID, errNotFound)
	}
	box := newMailbox(t, sb.User.ID, sb.User.Name, sb.User.Email)
	box.zone, box.kind, box.keepDeclined = sb.User.TimeZone, sb.User.Kind, sb.User.KeepDeclined
	box.signIn = cmp.Or(sb.User.SignIn, SignInOK)
	box.working, box.stamp, box.version, box.last = sb.Working, sb.Stamp, sb.Version, sb.LastTime
	w.addBox(box)
	slices.SortFunc(sb.Items, func(a, b savedItem) int { return strings.Compare(a.Master, b.Master) }) // Masters first.
	for _, si := range sb.Items {
		m := w.meetings[si.Meeting]
		if m == nil {
			m = &meeting{uid: si.Meeting, copies: map[*mailbox]*item{}}
			w.meetings[si.Meeting] = m
		}
		it := &item{
			id: si.ID, legacyID: si.LegacyID, box: box, meeting: m, uid: si.UID, transaction: si.Transaction, kind: si.Kind,
			organizer: si.Organizer, created: si.Created, state: si.State, deleted: si.Deleted, deletedAt: si.DeletedAt,
			day: si.Day, originalStart: si.OriginalStart,
		}
		if si.Newest {
			m.copies[box] = it
			if si.Organizer {
				m.organizer = it
			}
		}
		if si.Master != "" {
			if it.master = box.byID[si.Master]; it.master == nil {
				return fmt.Errorf("master of event %s: %w", si.ID, errNotFound)
			}
			if !si.Gone {
				it.master.instances = append(it.master.instances, it)
			}
		}
		w.addItem(it)
	}
	for _, it := range box.byID {
		slices.SortFunc(it.instances, func(a, b *item) int { return strings.Compare(a.day, b.day) })
	}
	return nil
}

// undelivered are copies of what is still on its way.
func (c *courier) undelivered() []*delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*delivery, 0, len(c.live))
	for d := range c.live {
		v := *d
		list = append(list, &v)
	}
	slices.SortFunc(list, func(a, b *delivery) int { return a.Made.Compare(b.Made) })
	return list
}

// takeBack queues what an earlier run left undelivered.
func (c *courier) takeBack(list []*delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range list {
		c.live[d] = struct{}{}
		c.remember(d)
		c.delayed.push(time.Now(), d)
	}
	c.s.counts.pending.Store(int64(len(c.live)))
}

// saver writes the state file soon after every change.
type saver struct {
	path string
	ch   chan struct{}
}

// saveEvery is the least time between two writes of the state file: what a process that is killed can lose.
const saveEvery = 100 * time.Millisecond

func newSaver(path string) *saver { return &saver{path: path, ch: make(chan struct{}, 1)} }

// dirty says that something has changed.
func (sv *saver) dirty() {
	if sv.path == "" {
		return
	}
	select {
	case sv.ch <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then once more.
func (sv *saver) run(ctx context.Context, snapshot func() *saved) error {
	if sv.path == "" {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return sv.write(snapshot())
		case <-sv.ch:
		}
		began := time.Now()
		if err := sv.write(snapshot()); err != nil {
			return err
		}
		// A large state is written less often, so that saving never takes more than a tenth of the time.
		if err := wait(ctx, max(saveEvery, 9*time.Since(began))); err != nil {
			return sv.write(snapshot())
		}
	}
}

// write replaces the file as a whole, so that a reader or a crash never sees half of it.
func (sv *saver) write(v *saved) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(sv.path), 0o700); err != nil {
		return err
	}
	tmp := sv.path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, sv.path)
}
