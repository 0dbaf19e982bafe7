package simulator

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The answers that Graph knows. https://learn.microsoft.com/graph/api/resources/responsestatus
const (
	answerNone         = "none"
	answerOrganizer    = "organizer"
	answerTentative    = "tentativelyAccepted"
	answerAccepted     = "accepted"
	answerDeclined     = "declined"
	answerNotResponded = "notResponded"
)

// The kinds of event. https://learn.microsoft.com/graph/api/resources/event
const (
	kindSingle     = "singleInstance"
	kindOccurrence = "occurrence"
	kindException  = "exception"
	kindMaster     = "seriesMaster"
)

// farFuture is what Outlook puts as the time of an answer that a reschedule has cleared.
func farFuture() time.Time { return time.Date(4501, time.January, 1, 0, 0, 0, 0, time.UTC) }

// address is a person as a meeting names them.
type address struct {
	Name  string `json:"name"`
	Email string `json:"address"`
}

// slot is a proposed time.
type slot struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Zone  string    `json:"zone,omitempty"`
}

// attendee is one invited person, room or thing, as one copy of the event shows it.
type attendee struct {
	Address  address   `json:"address"`
	Type     string    `json:"type"`
	Response string    `json:"response"`
	Time     time.Time `json:"time"`
	Proposed *slot     `json:"proposed,omitempty"`
}

// state is the content of one copy of an event: everything that a change can change.
type state struct {
	Subject     string     `json:"subject"`
	BodyType    string     `json:"bodyType"`
	Body        string     `json:"body"`
	Location    string     `json:"location"`
	Start       time.Time  `json:"start"`
	End         time.Time  `json:"end"`
	StartZone   string     `json:"startZone"`
	EndZone     string     `json:"endZone"`
	AllDay      bool       `json:"allDay"`
	Organizer   address    `json:"organizer"`
	Attendees   []attendee `json:"attendees"`
	Response    string     `json:"response"`
	RespondedAt time.Time  `json:"respondedAt"`
	ShowAs      string     `json:"showAs"`
	Importance  string     `json:"importance"`
	Sensitivity string     `json:"sensitivity"`
	Categories  []string   `json:"categories"`
	Cancelled   bool       `json:"cancelled"`
	// Comment is what the organizer said when calling it off.
	Comment           string      `json:"comment,omitempty"`
	Online            bool        `json:"online"`
	Provider          string      `json:"provider"`
	JoinURL           string      `json:"joinUrl"`
	Conference        string      `json:"conference"`
	ResponseRequested bool        `json:"responseRequested"`
	AllowProposals    bool        `json:"allowProposals"`
	HideAttendees     bool        `json:"hideAttendees"`
	ReminderOn        bool        `json:"reminderOn"`
	ReminderMinutes   int         `json:"reminderMinutes"`
	Recurrence        *recurrence `json:"recurrence,omitempty"`
	Modified          time.Time   `json:"modified"`
	Version           uint64      `json:"version"`
}

// clone returns a state that shares nothing with st that is ever written to.
func (st *state) clone() state {
	c := *st
	c.Attendees = slices.Clone(st.Attendees)
	return c
}

// attendee returns the entry of the person with that address, or nil.
func (st *state) attendee(email string) *attendee {
	i := slices.IndexFunc(st.Attendees, func(a attendee) bool { return strings.EqualFold(a.Address.Email, email) })
	if i < 0 {
		return nil
	}
	return &st.Attendees[i]
}

// item is one copy of an event in one mailbox. Its world's lock guards it, except reads.
type item struct {
	id string
	// legacyID is the id of the default format; it changes with the folder.
	legacyID    string
	box         *mailbox
	meeting     *meeting
	uid         string
	transaction string
	kind        string
	organizer   bool
	created     time.Time
	state       state
	// before is the state as it was before the last change; nil when there was none.
	before  *state
	deleted bool
	// deletedAt is when the item left for Deleted Items.
	deletedAt time.Time
	// instances are a master's, in order of their days; nil for everything else.
	instances []*item
	// master, day and originalStart are set on occurrences and exceptions; day is their place in the series, yyyy-mm-dd.
	master        *item
	day           string
	originalStart time.Time
	// reads counts the Graph answers that showed this copy.
	reads atomic.Int64
}

// idFor returns the id in the format that was asked for.
func (it *item) idFor(immutable bool) string {
	if immutable {
		return it.id
	}
	return it.legacyID
}

// modified is when the item last changed. An occurrence lives inside its master and has no version of its own.
func (it *item) modified(st *state) time.Time {
	if it.kind == kindOccurrence && it.master != nil {
		return it.master.state.Modified
	}
	return st.Modified
}

// key is the item's change key at the given state.
func (it *item) key(st *state) string {
	v := st.Version
	if it.master != nil {
		v = it.master.state.Version
	}
	return changeKey(it.box.stamp, v)
}

// etag is the item's entity tag as it stands.
func (it *item) etag() string { return `W/"` + it.key(&it.state) + `"` }

// notifies is the item that a notification about it names: changes of instances are reported as changes of their master.
func (it *item) notifies() *item {
	if it.master != nil {
		return it.master
	}
	return it
}

// meeting ties the copies of one event together.
type meeting struct {
	uid string
	// copies has the newest copy of each mailbox, deleted or not.
	copies map[*mailbox]*item
	// organizer is the organizer's copy; nil when the organizer has no mailbox here.
	organizer *item
}

// sibling is the copy of it in another mailbox, deleted or not, or nil. For an instance of a series it is the instance of
// the same day.
func (it *item) sibling(box *mailbox) *item {
	if it.master == nil {
		return it.meeting.copies[box]
	}
	master := it.meeting.copies[box]
	if master == nil {
		return nil
	}
	return master.instance(it.day)
}

// organizers is the organizer's copy of it, or nil.
func (it *item) organizers() *item {
	if it.meeting.organizer == nil {
		return nil
	}
	return it.sibling(it.meeting.organizer.box)
}

// instance returns a master's instance of a day, deleted or not, or nil.
func (it *item) instance(day string) *item {
	i, ok := slices.BinarySearchFunc(it.instances, day, func(o *item, day string) int { return strings.Compare(o.day, day) })
	if !ok {
		return nil
	}
	return it.instances[i]
}
