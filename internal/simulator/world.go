package simulator

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// errNotFound is what look-ups of the Go API and the control API answer for what there is not.
var errNotFound = errors.New("not found")

// world is every organisation with its mailboxes. One lock guards all of it: a change touches the copies in several
// mailboxes at once and takes microseconds, nothing waits while holding it.
type world struct {
	mu      sync.RWMutex
	tenants map[string]*tenant
	// users are by object id, emails by lower-case address; both hold deleted users too.
	users    map[string]*mailbox
	emails   map[string]*mailbox
	meetings map[string]*meeting
	// items are by immutable id, over all mailboxes, deleted ones too.
	items map[string]*item
	// legacy are the same by their present default id.
	legacy map[string]*item
	subs   map[string]*subscription
	// sessions are people's sign-ins by their ids; redirects are registered redirect URIs by lower-case application id.
	sessions  map[string]*session
	redirects map[string][]string
}

// tenant is one organisation.
type tenant struct {
	id, name, domain string
	consent          Consent
	// rolesFrom is when the admin's consent has reached the token endpoint.
	rolesFrom time.Time
	// adminsOnly keeps people from consenting for themselves.
	adminsOnly bool
	boxes      []*mailbox
	subs       map[string]*subscription
}

// mailbox is one person and what they have in Outlook.
type mailbox struct {
	id, name, email string
	tenant          *tenant
	kind            MailboxKind
	zone            string
	keepDeclined    bool
	signIn          SignIn
	working         workingHours
	// stamp is the part that all change keys of the mailbox share, version the part that counts.
	stamp   [16]byte
	version uint64
	// last is the time of the newest change: Outlook's clock never hands out the same instant twice here.
	last time.Time
	// byID has both formats of every id; live are singles and masters that are not deleted.
	byID         map[string]*item
	live         map[*item]struct{}
	byUID        map[string][]*item
	transactions map[string]*item
	subs         map[string]*subscription
	gate         gate
}

func newWorld() *world {
	return &world{
		tenants:  map[string]*tenant{},
		users:    map[string]*mailbox{},
		emails:   map[string]*mailbox{},
		meetings: map[string]*meeting{},
		items:    map[string]*item{},
		legacy:   map[string]*item{},
		subs:     map[string]*subscription{},
		sessions: map[string]*session{}, redirects: map[string][]string{},
	}
}

func newMailbox(t *tenant, id, name, email string) *mailbox {
	box := &mailbox{
		id: id, name: name, email: email, tenant: t, kind: MailboxOK, signIn: SignInOK, zone: "UTC", working: defaultWorkingHours(),
		byID: map[string]*item{}, live: map[*item]struct{}{}, byUID: map[string][]*item{},
		transactions: map[string]*item{}, subs: map[string]*subscription{},
	}
	copy(box.stamp[:], randomBytes(len(box.stamp)))
	return box
}

// addBox puts a mailbox into the indexes.
func (w *world) addBox(box *mailbox) {
	w.users[box.id] = box
	w.emails[strings.ToLower(box.email)] = box
	box.tenant.boxes = append(box.tenant.boxes, box)
}

// person finds a mailbox by object id or address.
func (w *world) person(ref string) (*mailbox, error) {
	if box, ok := w.users[strings.ToLower(ref)]; ok {
		return box, nil
	}
	if box, ok := w.emails[strings.ToLower(ref)]; ok {
		return box, nil
	}
	return nil, fmt.Errorf("person %q: %w", ref, errNotFound)
}

// event finds any copy by either format of its id, in any mailbox.
func (w *world) event(id string) (*item, error) {
	if it, ok := w.items[id]; ok {
		return it, nil
	}
	if it, ok := w.legacy[id]; ok {
		return it, nil
	}
	return nil, fmt.Errorf("event: %w", errNotFound)
}

// copyOf finds the copy that a person has of the event with that id, which may be the id of anybody's copy.
func (w *world) copyOf(person, id string) (*item, error) {
	it, err := w.event(id)
	if err != nil {
		return nil, err
	}
	if person == "" {
		return it, nil
	}
	box, err := w.person(person)
	if err != nil {
		return nil, err
	}
	own := it.sibling(box)
	if own == nil {
		return nil, fmt.Errorf("event in the mailbox of %s: %w", person, errNotFound)
	}
	return own, nil
}

// addItem puts an item into all indexes.
func (w *world) addItem(it *item) {
	box := it.box
	w.items[it.id] = it
	w.legacy[it.legacyID] = it
	box.byID[it.id] = it
	box.byID[it.legacyID] = it
	box.byUID[it.uid] = append(box.byUID[it.uid], it)
	if it.transaction != "" {
		box.transactions[it.transaction] = it
	}
	if it.master == nil && !it.deleted {
		box.live[it] = struct{}{}
	}
}

// moveItem gives an item the default id of another folder.
func (w *world) moveItem(it *item) {
	delete(w.legacy, it.legacyID)
	delete(it.box.byID, it.legacyID)
	it.legacyID = newDefaultID()
	w.legacy[it.legacyID] = it
	it.box.byID[it.legacyID] = it
}

// tenant finds an organisation by id or domain.
func (w *world) tenant(ref string) (*tenant, error) {
	if t, ok := w.tenants[strings.ToLower(ref)]; ok {
		return t, nil
	}
	for _, t := range w.tenants {
		if strings.EqualFold(t.domain, ref) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("organisation %q: %w", ref, errNotFound)
}
