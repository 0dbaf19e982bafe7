package simulator

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// View is one copy of an event as its owner sees it in Outlook, for tests and the page. It is not Graph's shape.
type View struct {
	ID          string    `json:"id"`
	Mailbox     string    `json:"mailbox"`
	Subject     string    `json:"subject"`
	Kind        string    `json:"kind"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	Organizer   string    `json:"organizer"`
	OrganizerIs string    `json:"organizer_name"`
	IsOrganizer bool      `json:"is_organizer"`
	Response    string    `json:"response"`
	Cancelled   bool      `json:"cancelled"`
	// Comment is what the organizer said when calling it off.
	Comment      string         `json:"comment"`
	Deleted      bool           `json:"deleted"`
	Private      bool           `json:"private"`
	JoinURL      string         `json:"join_url"`
	ChangeKey    string         `json:"change_key"`
	LastModified time.Time      `json:"last_modified"`
	Attendees    []AttendeeView `json:"attendees"`
}

// AttendeeView is one attendee as a copy shows them.
type AttendeeView struct {
	Name     string `json:"name"`
	Email    string `json:"email"`
	Response string `json:"response"`
	// AskedAgain says that an answer was voided because the meeting was moved.
	AskedAgain    bool       `json:"asked_again"`
	RespondedAt   *time.Time `json:"responded_at"`
	ProposedStart *time.Time `json:"proposed_start"`
	ProposedEnd   *time.Time `json:"proposed_end"`
}

func (it *item) look() View {
	st := &it.state
	v := View{
		ID: it.id, Mailbox: it.box.id, Subject: st.Subject, Kind: it.kind, Start: st.Start, End: st.End,
		Organizer: st.Organizer.Email, OrganizerIs: st.Organizer.Name, IsOrganizer: it.organizer, Response: st.Response,
		Cancelled: st.Cancelled, Comment: st.Comment, Deleted: it.deleted, Private: st.Sensitivity == "private", JoinURL: st.JoinURL,
		ChangeKey: it.key(st), LastModified: it.modified(st), Attendees: []AttendeeView{},
	}
	for _, a := range st.Attendees {
		av := AttendeeView{Name: a.Address.Name, Email: a.Address.Email, Response: a.Response, AskedAgain: a.Response == answerNotResponded && a.Time.Equal(farFuture())}
		if !a.Time.IsZero() && a.Time.Year() < 4501 {
			at := a.Time
			av.RespondedAt = &at
		}
		if a.Proposed != nil {
			p := *a.Proposed
			av.ProposedStart, av.ProposedEnd = &p.Start, &p.End
		}
		v.Attendees = append(v.Attendees, av)
	}
	return v
}

// Event shows the copy with that id, deleted or not.
func (s *Simulator) Event(id string) (View, error) { return s.CopyOf("", id) }

// CopyOf shows a person's copy of the event with that id, which may be the id of anybody's copy.
func (s *Simulator) CopyOf(person, id string) (View, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	it, err := s.world.copyOf(person, id)
	if err != nil {
		return View{}, err
	}
	return it.look(), nil
}

// Calendar shows what a person's calendar has in a window, in order of time.
func (s *Simulator) Calendar(person string, from, to time.Time) ([]View, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	box, err := s.world.person(person)
	if err != nil {
		return nil, err
	}
	views := []View{}
	for _, it := range box.between(from, to) {
		views = append(views, it.look())
	}
	return views, nil
}

// SubscriptionView is one subscription alive.
type SubscriptionView struct {
	ID              string    `json:"id"`
	Tenant          string    `json:"tenant"`
	Mailbox         string    `json:"mailbox"`
	Resource        string    `json:"resource"`
	NotificationURL string    `json:"notification_url"`
	LifecycleURL    string    `json:"lifecycle_url"`
	ClientState     string    `json:"client_state"`
	Immutable       bool      `json:"immutable"`
	ExpiresAt       time.Time `json:"expires_at"`
}

// Subscriptions lists the subscriptions that are alive.
func (s *Simulator) Subscriptions() []SubscriptionView {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	now := time.Now()
	list := []SubscriptionView{}
	for _, sub := range s.world.subs {
		if sub.alive(now) {
			list = append(list, SubscriptionView{
				ID: sub.id, Tenant: sub.tenant.id, Mailbox: sub.box.id, Resource: sub.resource, NotificationURL: sub.notificationURL,
				LifecycleURL: sub.lifecycleURL, ClientState: sub.clientState, Immutable: sub.immutable, ExpiresAt: sub.expires,
			})
		}
	}
	slices.SortFunc(list, func(a, b SubscriptionView) int {
		return cmp.Or(strings.Compare(a.Mailbox, b.Mailbox), strings.Compare(a.ID, b.ID))
	})
	return list
}

// Delivery is a notification and what became of it.
type Delivery struct {
	Subscription string    `json:"subscription"`
	Mailbox      string    `json:"mailbox"`
	Event        string    `json:"event"`
	Change       string    `json:"change"`
	MadeAt       time.Time `json:"made_at"`
	Attempts     int       `json:"attempts"`
	Status       int       `json:"status"`
	// Fate is waiting, retrying, delivered, dropped or gave_up.
	Fate   string     `json:"fate"`
	DoneAt *time.Time `json:"done_at"`
}

// Deliveries lists the newest notifications, newest first.
func (s *Simulator) Deliveries(limit int) []Delivery {
	c := s.courier
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []Delivery{}
	for i := len(c.recent) - 1; i >= 0 && len(list) < limit; i-- {
		d := c.recent[i]
		v := Delivery{
			Subscription: d.Subscription, Mailbox: d.Mailbox, Event: d.Event, Change: d.Change, MadeAt: d.Made, Attempts: d.Attempts,
			Status: d.Status, Fate: d.Fate,
		}
		if !d.Done.IsZero() {
			done := d.Done
			v.DoneAt = &done
		}
		list = append(list, v)
	}
	return list
}
