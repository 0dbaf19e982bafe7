package simulator

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Consent is how an organisation stands to the application.
type Consent string

// The application was admitted by an admin; is not in the organisation at all (no token); is there but without its
// permissions (a token without roles, and 403 from Graph).
const (
	ConsentGranted   Consent = "granted"
	ConsentMissing   Consent = "missing"
	ConsentWithdrawn Consent = "withdrawn"
)

func (c Consent) valid() bool {
	return slices.Contains([]Consent{ConsentGranted, ConsentMissing, ConsentWithdrawn}, c)
}

// Duration is a time.Duration that is written in Go syntax ("1m30s") in JSON.
type Duration struct{ time.Duration }

// MarshalText writes the duration in Go syntax.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go syntax.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	d.Duration = v
	return err
}

// Behaviour is what goes wrong in general. The zero value is a well-behaved Outlook.
type Behaviour struct {
	// StaleReads is how long a GET still shows an event as it was before its last change.
	StaleReads Duration `json:"stale_reads"`
	// LateReadable is how long a new event cannot be read (404).
	LateReadable Duration `json:"late_readable"`
	// KeepCancelled lets a cancelled event of the organizer still be read by its immutable id, with isCancelled.
	KeepCancelled bool `json:"keep_cancelled"`
	// NotificationDelay holds every notification back; NotificationJitter adds a random part, which reorders them.
	NotificationDelay  Duration `json:"notification_delay"`
	NotificationJitter Duration `json:"notification_jitter"`
	// DropNotifications is the share, 0 to 1, of notifications that are lost.
	DropNotifications float64 `json:"drop_notifications"`
	// Duplicates is how many times more each notification is sent.
	Duplicates int `json:"duplicates"`
	// ExtraUpdates is the most "updated" notifications that follow a change for no reason.
	ExtraUpdates int `json:"extra_updates"`
	// ReorderNotifications sends what waits for the same endpoint in a random order.
	ReorderNotifications bool `json:"reorder_notifications"`
	// RefuseDuplicateSubscriptions answers 409 to a second subscription for the same resource and change types, as
	// documented; else it succeeds, as observed, and every change arrives twice.
	RefuseDuplicateSubscriptions bool `json:"refuse_duplicate_subscriptions"`
	// RenewalsIgnored answers 200 to a renewal and leaves the expiry as it was.
	RenewalsIgnored bool `json:"renewals_ignored"`
	// IgnoreTransactions books again on a transaction id that was used before, as has been seen.
	IgnoreTransactions bool `json:"ignore_transactions"`
	// CapitalStatus writes the status of busy times with a capital letter, as some servers do.
	CapitalStatus bool `json:"capital_status"`
	// ConsentDelay is how long an admin's consent on the page takes to reach the token endpoint, whose tokens lack their
	// roles till then.
	ConsentDelay Duration `json:"consent_delay"`
}

// Fault is one thing that goes wrong with certain Graph or login calls.
type Fault struct {
	// ID is given by AddFault.
	ID int `json:"id"`
	// Operation is the call's name (get_event, create_subscription, token …); empty means every Graph call, not the login.
	Operation string `json:"operation,omitempty"`
	// Tenant, Mailbox (object id or address) and Event (either id) narrow it down; empty means all.
	Tenant  string `json:"tenant,omitempty"`
	Mailbox string `json:"mailbox,omitempty"`
	Event   string `json:"event,omitempty"`
	// Times is how many calls it hits; zero means all until it is removed.
	Times int `json:"times,omitempty"`
	// Status is the HTTP status to answer instead; zero lets the call through.
	Status int `json:"status,omitempty"`
	// Code and Message are the error's; empty takes what Graph says with that status.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Number is the AADSTS number of a login's error; zero means 90033.
	Number int `json:"number,omitempty"`
	// RetryAfter is the header as it is sent, in seconds (a fraction is fine) or as a date; empty sends none.
	RetryAfter string `json:"retry_after,omitempty"`
	// Latency is waited first.
	Latency Duration `json:"latency"`
	// Lost does what was asked and then cuts the connection, so that the caller never sees the answer.
	Lost bool `json:"lost,omitempty"`
	// Cut cuts the connection without doing anything.
	Cut bool `json:"cut,omitempty"`
	// Hits counts the calls it has hit.
	Hits int `json:"hits"`
}

// faults holds what goes wrong.
type faults struct {
	behaviour atomic.Pointer[Behaviour]
	// armed is the number of faults, so that a call without any pays nothing.
	armed atomic.Int32
	mu    sync.Mutex
	next  int
	list  []*Fault
	rnd   *rand.Rand
}

func newFaults(b Behaviour, seed uint64) *faults {
	f := &faults{rnd: rand.New(rand.NewPCG(seed, seed))}
	f.behaviour.Store(&b)
	return f
}

// SetBehaviour replaces what goes wrong in general.
func (s *Simulator) SetBehaviour(b Behaviour) { s.faults.behaviour.Store(&b) }

// Behaviour returns what goes wrong in general.
func (s *Simulator) Behaviour() Behaviour { return *s.faults.behaviour.Load() }

// AddFault makes certain calls fail from now on and returns the fault's id.
func (s *Simulator) AddFault(f Fault) int {
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.next++
	f.ID, f.Hits = fs.next, 0
	fs.list = append(fs.list, &f)
	fs.armed.Store(int32(len(fs.list))) //nolint:gosec // G115: a handful.
	return f.ID
}

// RemoveFault ends a fault; an id of zero ends all of them.
func (s *Simulator) RemoveFault(id int) {
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(f *Fault) bool { return id == 0 || f.ID == id })
	fs.armed.Store(int32(len(fs.list))) //nolint:gosec // G115: a handful.
}

// Faults returns the faults that are armed, with their hits.
func (s *Simulator) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	list := make([]Fault, 0, len(s.faults.list))
	for _, f := range s.faults.list {
		list = append(list, *f)
	}
	return list
}

// target is what a fault is held against.
type target struct {
	op, tenant string
	box        *mailbox
	events     []string
}

// hit returns the first fault that applies, used up once, or nil.
func (fs *faults) hit(t target) *Fault {
	if fs.armed.Load() == 0 {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.list {
		if !f.applies(t) {
			continue
		}
		f.Hits++
		c := *f
		if f.Times > 0 && f.Hits >= f.Times {
			fs.list = slices.Delete(fs.list, i, i+1)
			fs.armed.Store(int32(len(fs.list))) //nolint:gosec // G115: a handful.
		}
		return &c
	}
	return nil
}

func (f *Fault) applies(t target) bool {
	if f.Operation == "" && t.op == opToken || f.Operation != "" && f.Operation != t.op {
		return false
	}
	if f.Tenant != "" && !strings.EqualFold(f.Tenant, t.tenant) {
		return false
	}
	if f.Mailbox != "" && (t.box == nil || !strings.EqualFold(f.Mailbox, t.box.id) && !sameAddress(f.Mailbox, t.box.email)) {
		return false
	}
	return f.Event == "" || slices.Contains(t.events, f.Event)
}

// chance is true with probability p.
func (fs *faults) chance(p float64) bool {
	if p <= 0 {
		return false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.rnd.Float64() < p
}

// upTo is a random number from 0 to n, both included.
func (fs *faults) upTo(n int64) int64 {
	if n <= 0 {
		return 0
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.rnd.Int64N(n + 1)
}

// shuffle calls swap in Fisher-Yates order.
func (fs *faults) shuffle(n int, swap func(i, j int)) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rnd.Shuffle(n, swap)
}
