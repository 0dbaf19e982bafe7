package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tenant is an organisation to be.
type Tenant struct {
	// ID is its Entra id; empty takes a new one.
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
	// Consent is how it stands to the application; empty means granted.
	Consent Consent `json:"consent"`
	// AdminsOnly keeps people from consenting for themselves, unless an admin has consented.
	AdminsOnly bool `json:"admins_only"`
}

// AddTenant makes an organisation, or brings one up to date when its id is known.
func (s *Simulator) AddTenant(t Tenant) (Tenant, error) {
	t.ID = strings.ToLower(cmp.Or(t.ID, newGUID()))
	t.Consent = cmp.Or(t.Consent, ConsentGranted)
	if !t.Consent.valid() {
		return Tenant{}, fmt.Errorf("consent %q is not one of granted, missing, withdrawn", t.Consent)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	have := w.tenants[t.ID]
	if have == nil {
		have = &tenant{id: t.ID, subs: map[string]*subscription{}}
		w.tenants[t.ID] = have
	}
	have.name, have.domain, have.consent, have.adminsOnly, have.rolesFrom = t.Name, t.Domain, t.Consent, t.AdminsOnly, time.Time{}
	s.saver.dirty()
	s.feed.publish()
	return t, nil
}

// SetConsent changes how an organisation stands to the application, at once: tokens that are out lose what they grant.
func (s *Simulator) SetConsent(tenant string, c Consent) error {
	if !c.valid() {
		return fmt.Errorf("consent %q is not one of granted, missing, withdrawn", c)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.tenant(tenant)
	if err != nil {
		return err
	}
	t.consent, t.rolesFrom = c, time.Time{}
	s.saver.dirty()
	s.feed.publish()
	return nil
}

// User is a person to be.
type User struct {
	// ID is the Entra object id; empty takes a new one.
	ID string `json:"id"`
	// Tenant is the organisation's id.
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	Email  string `json:"email"`
	// TimeZone is a Windows or IANA name; empty means UTC.
	TimeZone string `json:"time_zone"`
	// Kind is how the mailbox is to be had; empty means ok.
	Kind MailboxKind `json:"kind"`
	// KeepDeclined leaves declined meetings in the calendar instead of moving them to Deleted Items.
	KeepDeclined bool `json:"keep_declined"`
	// SignIn is how their sign-in to applications stands; empty means ok.
	SignIn SignIn `json:"sign_in"`
}

// AddUser makes a person with a mailbox, or brings one up to date when the id or the address is known.
func (s *Simulator) AddUser(u User) (User, error) {
	u.Kind = cmp.Or(u.Kind, MailboxOK)
	u.TimeZone = cmp.Or(u.TimeZone, "UTC")
	u.SignIn = cmp.Or(u.SignIn, SignInOK)
	if !u.Kind.valid() {
		return User{}, fmt.Errorf("mailbox kind %q is not known", u.Kind)
	}
	if !u.SignIn.valid() {
		return User{}, fmt.Errorf("sign-in %q is not known", u.SignIn)
	}
	if _, err := parseZone(u.TimeZone); err != nil {
		return User{}, err
	}
	if !strings.Contains(u.Email, "@") {
		return User{}, fmt.Errorf("%q is not an e-mail address", u.Email)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.tenant(u.Tenant)
	if err != nil {
		return User{}, err
	}
	box, err := w.person(cmp.Or(u.ID, u.Email))
	if err != nil {
		if _, taken := w.emails[strings.ToLower(u.Email)]; taken {
			return User{}, fmt.Errorf("the address %s is taken", u.Email)
		}
		box = newMailbox(t, strings.ToLower(cmp.Or(u.ID, newGUID())), u.Name, u.Email)
		w.addBox(box)
	} else if !sameAddress(box.email, u.Email) {
		delete(w.emails, strings.ToLower(box.email))
		w.emails[strings.ToLower(u.Email)] = box
	}
	box.name, box.email, box.zone, box.kind, box.keepDeclined = u.Name, u.Email, u.TimeZone, u.Kind, u.KeepDeclined
	box.signIn = u.SignIn
	s.saver.dirty()
	s.feed.publish()
	return box.user(), nil
}

func (box *mailbox) user() User {
	return User{
		ID: box.id, Tenant: box.tenant.id, Name: box.name, Email: box.email, TimeZone: box.zone, Kind: box.kind,
		KeepDeclined: box.keepDeclined, SignIn: box.signIn,
	}
}

// SetMailbox changes how a person's mailbox is to be had.
func (s *Simulator) SetMailbox(person string, kind MailboxKind) error {
	if !kind.valid() {
		return fmt.Errorf("mailbox kind %q is not known", kind)
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	box, err := w.person(person)
	if err != nil {
		return err
	}
	box.kind = kind
	s.saver.dirty()
	s.feed.publish()
	return nil
}

// Tenants lists the organisations by name.
func (s *Simulator) Tenants() []Tenant {
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := make([]Tenant, 0, len(w.tenants))
	for _, t := range w.tenants {
		list = append(list, t.tenant())
	}
	slices.SortFunc(list, func(a, b Tenant) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return list
}

func (t *tenant) tenant() Tenant {
	return Tenant{ID: t.id, Name: t.name, Domain: t.domain, Consent: t.consent, AdminsOnly: t.adminsOnly}
}

// Users lists the people of an organisation in the order in which they came.
func (s *Simulator) Users(tenant string) ([]User, error) {
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	t, err := w.tenant(tenant)
	if err != nil {
		return nil, err
	}
	list := make([]User, 0, len(t.boxes))
	for _, box := range t.boxes {
		list = append(list, box.user())
	}
	return list, nil
}

// Meeting is an event to be.
type Meeting struct {
	// Organizer is the object id or the address of the person whose event it is.
	Organizer string `json:"organizer"`
	// Attendees are addresses; those with a mailbox here get a copy.
	Attendees []string  `json:"attendees"`
	Subject   string    `json:"subject"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
	// TimeZone is the zone in which it was made; empty means the organizer's.
	TimeZone string `json:"time_zone"`
	// Online gives it a Teams link.
	Online bool `json:"online"`
	// Private marks it as such.
	Private bool `json:"private"`
	// Repeat is daily or weekly for a series of Count instances, empty for a single event.
	Repeat string `json:"repeat"`
	Count  int    `json:"count"`
}

// Booked tells how an event is to be had.
type Booked struct {
	// Mailbox is the organizer's object id.
	Mailbox string `json:"mailbox"`
	// ID is the immutable id of the organizer's copy, DefaultID the other one.
	ID        string `json:"id"`
	DefaultID string `json:"default_id"`
	ICalUID   string `json:"ical_uid"`
	JoinURL   string `json:"join_url"`
	// Copies are the immutable ids of everybody's copies by lower-case address.
	Copies map[string]string `json:"copies"`
	// Instances are the organizer's instances of a series, in order.
	Instances []Instance `json:"instances"`
}

// Instance is one occurrence of a series.
type Instance struct {
	ID            string    `json:"id"`
	Day           string    `json:"day"`
	OriginalStart time.Time `json:"original_start"`
}

// Book makes an event in the organizer's calendar and sends the invitations.
func (s *Simulator) Book(m Meeting) (Booked, error) {
	t := s.begin()
	defer t.end()
	box, err := s.world.person(m.Organizer)
	if err != nil {
		return Booked{}, err
	}
	z, err := parseZone(cmp.Or(m.TimeZone, box.zone))
	if err != nil {
		return Booked{}, err
	}
	if m.Start.IsZero() || !m.End.After(m.Start) {
		return Booked{}, fmt.Errorf("a meeting needs a start and a later end")
	}
	st := blank()
	st.Subject, st.Start, st.End, st.StartZone, st.EndZone = m.Subject, m.Start.UTC(), m.End.UTC(), z.name, z.name
	if m.Private {
		st.Sensitivity = "private"
	}
	if m.Online {
		st.goOnline(box)
	}
	for _, email := range m.Attendees {
		a := attendee{Address: address{Name: email, Email: email}, Type: "required"}
		if b, err := s.world.person(email); err == nil {
			a.Address = address{Name: b.name, Email: b.email}
		}
		st.Attendees = append(st.Attendees, a)
	}
	if m.Repeat != "" {
		r := &recurrence{
			Pattern: recurrencePattern{Type: m.Repeat, DaysOfWeek: []string{m.Start.In(z.loc).Weekday().String()}},
			Range:   recurrenceRange{Type: "numbered", NumberOfOccurrences: max(m.Count, 1)},
		}
		if err := r.normal(m.Start, z); err != nil {
			return Booked{}, err
		}
		st.Recurrence = r
	}
	return t.book(box, st, "").booked(), nil
}

func (it *item) booked() Booked {
	b := Booked{
		Mailbox: it.box.id, ID: it.id, DefaultID: it.legacyID, ICalUID: it.uid, JoinURL: it.state.JoinURL, Copies: map[string]string{},
	}
	for box, own := range it.meeting.copies {
		b.Copies[strings.ToLower(box.email)] = own.id
	}
	for _, o := range it.instances {
		b.Instances = append(b.Instances, Instance{ID: o.id, Day: o.day, OriginalStart: o.originalStart})
	}
	return b
}

// AddPrivateEvent puts an event into somebody's calendar that concerns nobody else.
func (s *Simulator) AddPrivateEvent(person, subject string, start, end time.Time) (Booked, error) {
	return s.Book(Meeting{Organizer: person, Subject: subject, Start: start, End: end, Private: true})
}
