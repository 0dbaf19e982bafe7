package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// controlRoutes is the JSON API for scripts and the page. It asks for no token: a simulator belongs on one's own machine.
// Bodies must be application/json, which pages of other sites can't send without being asked first.
func (s *Simulator) controlRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /simulator/tenants", control(func(*http.Request, struct{}) (any, error) { return s.Tenants(), nil }))
	mux.HandleFunc("POST /simulator/tenants", control(func(_ *http.Request, t Tenant) (any, error) { return s.AddTenant(t) }))
	mux.HandleFunc("PUT /simulator/tenants/{tenant}/consent", control(func(r *http.Request, b struct {
		Consent Consent `json:"consent"`
	},
	) (any, error) {
		return nil, s.SetConsent(r.PathValue("tenant"), b.Consent)
	}))
	mux.HandleFunc("GET /simulator/tenants/{tenant}/users", control(func(r *http.Request, _ struct{}) (any, error) {
		return s.Users(r.PathValue("tenant"))
	}))
	mux.HandleFunc("POST /simulator/users", control(func(_ *http.Request, u User) (any, error) { return s.AddUser(u) }))
	mux.HandleFunc("PUT /simulator/users/{user}/mailbox", control(func(r *http.Request, b struct {
		Kind MailboxKind `json:"kind"`
	},
	) (any, error) {
		return nil, s.SetMailbox(r.PathValue("user"), b.Kind)
	}))
	mux.HandleFunc("GET /simulator/users/{user}/events", control(s.controlCalendar))
	mux.HandleFunc("POST /simulator/meetings", control(func(_ *http.Request, m Meeting) (any, error) { return s.Book(m) }))
	mux.HandleFunc("GET /simulator/events/{event}", control(func(r *http.Request, _ struct{}) (any, error) {
		v, err := s.CopyOf(r.URL.Query().Get("person"), r.PathValue("event"))
		return map[string]any{"event": v, "reads": s.Reads(r.PathValue("event"))}, err
	}))
	mux.HandleFunc("POST /simulator/act", control(func(_ *http.Request, a action) (any, error) { return nil, s.act(a) }))
	mux.HandleFunc("GET /simulator/subscriptions", control(func(*http.Request, struct{}) (any, error) { return s.Subscriptions(), nil }))
	mux.HandleFunc("DELETE /simulator/subscriptions/{subscription}", control(func(r *http.Request, _ struct{}) (any, error) {
		return nil, s.RemoveSubscription(r.PathValue("subscription"), r.URL.Query().Get("tell") == "true")
	}))
	mux.HandleFunc("POST /simulator/subscriptions/{subscription}/lifecycle", control(func(r *http.Request, b struct {
		Event string `json:"event"`
	},
	) (any, error) {
		return nil, s.SendLifecycle(r.PathValue("subscription"), b.Event)
	}))
	mux.HandleFunc("GET /simulator/deliveries", control(func(r *http.Request, _ struct{}) (any, error) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || limit < 1 {
			limit = 50
		}
		return s.Deliveries(limit), nil
	}))
	mux.HandleFunc("GET /simulator/counters", control(func(*http.Request, struct{}) (any, error) { return s.Counters(), nil }))
	mux.HandleFunc("GET /simulator/behaviour", control(func(*http.Request, struct{}) (any, error) { return s.Behaviour(), nil }))
	mux.HandleFunc("PUT /simulator/behaviour", control(func(_ *http.Request, b Behaviour) (any, error) {
		s.SetBehaviour(b)
		return s.Behaviour(), nil
	}))
	mux.HandleFunc("GET /simulator/faults", control(func(*http.Request, struct{}) (any, error) { return s.Faults(), nil }))
	mux.HandleFunc("POST /simulator/faults", control(func(_ *http.Request, f Fault) (any, error) {
		return map[string]int{"id": s.AddFault(f)}, nil
	}))
	mux.HandleFunc("DELETE /simulator/faults", control(func(*http.Request, struct{}) (any, error) {
		s.RemoveFault(0)
		return nil, nil //nolint:nilnil // Nothing to say is not an error.
	}))
	mux.HandleFunc("DELETE /simulator/faults/{fault}", control(func(r *http.Request, _ struct{}) (any, error) {
		id, err := strconv.Atoi(r.PathValue("fault"))
		if err != nil || id < 1 {
			return nil, errNotFound
		}
		s.RemoveFault(id)
		return nil, nil //nolint:nilnil // Nothing to say is not an error.
	}))
	mux.HandleFunc("GET /simulator/feed", s.serveFeed)
	s.peopleRoutes(mux)
}

// control makes an http.Handler of a function from a JSON body to a JSON answer. Unknown names in a body are refused.
func control[T any](do func(r *http.Request, in T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
				writeJSON(w, http.StatusUnsupportedMediaType, map[string]string{"error": "the body must be application/json"})
				return
			}
			dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&in); err != nil {
				writeJSON(w, http.StatusBadRequest, map[string]string{"error": "reading the body: " + err.Error()})
				return
			}
		}
		out, err := do(r, in)
		var ge *graphError
		switch {
		case errors.As(err, &ge):
			writeJSON(w, http.StatusConflict, map[string]string{"error": ge.message})
		case errors.Is(err, errNotFound):
			writeJSON(w, http.StatusNotFound, map[string]string{"error": err.Error()})
		case err != nil:
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		case out == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, out)
		}
	}
}

func (s *Simulator) controlCalendar(r *http.Request, _ struct{}) (any, error) {
	from, to := time.Now().Add(-24*time.Hour), time.Now().Add(90*24*time.Hour)
	for name, t := range map[string]*time.Time{"from": &from, "to": &to} {
		if v := r.URL.Query().Get(name); v != "" {
			at, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return nil, fmt.Errorf("%s is not an RFC 3339 time", name)
			}
			*t = at
		}
	}
	return s.Calendar(r.PathValue("user"), from, to)
}

// action is one thing that a person does in Outlook.
type action struct {
	// Do is move, accept, tentative, decline, propose, cancel, delete, restore, touch, add_attendee, remove_attendee or
	// new_link.
	Do string `json:"do"`
	// Person is who does it; may be empty where only the organizer can.
	Person string `json:"person"`
	Event  string `json:"event"`
	// Start and End are for move and propose.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Email is for add_attendee and remove_attendee.
	Email string `json:"email"`
	// Comment is for cancel.
	Comment string `json:"comment"`
	// Unsent keeps an answer from the organizer.
	Unsent bool `json:"unsent"`
}

func (s *Simulator) act(a action) error {
	if a.Person != "" && (a.Do == "move" || a.Do == "cancel") {
		if err := s.organizes(a.Person, a.Event); err != nil {
			return err
		}
	}
	r := Response{Unsent: a.Unsent}
	switch a.Do {
	case "move":
		return s.Move(a.Event, a.Start, a.End)
	case "accept":
		r.Answer = answerAccepted
		return s.Respond(a.Person, a.Event, r)
	case "tentative":
		r.Answer = answerTentative
		return s.Respond(a.Person, a.Event, r)
	case "decline":
		r.Answer = answerDeclined
		return s.Respond(a.Person, a.Event, r)
	case "propose":
		r.Answer, r.ProposedStart, r.ProposedEnd = answerTentative, a.Start, a.End
		return s.Respond(a.Person, a.Event, r)
	case "cancel":
		return s.CancelSaying(a.Event, a.Comment)
	case "delete":
		return s.Delete(a.Person, a.Event)
	case "restore":
		return s.Restore(a.Person, a.Event)
	case "touch":
		return s.Touch(a.Person, a.Event)
	case "add_attendee":
		return s.AddAttendee(a.Event, a.Email)
	case "remove_attendee":
		return s.RemoveAttendee(a.Event, a.Email)
	case "new_link":
		return s.NewLink(a.Event)
	default:
		return fmt.Errorf("%q is not something a person can do here", a.Do)
	}
}

// organizes refuses what only the organizer may do.
func (s *Simulator) organizes(person, event string) error {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	it, err := s.world.copyOf(person, event)
	if err != nil {
		return err
	}
	if it.organizers() != it {
		return cannot("You need to be the organizer to do that.")
	}
	return nil
}

// serveFeed sends an event whenever something has changed, until the caller goes.
func (s *Simulator) serveFeed(w http.ResponseWriter, r *http.Request) {
	ch, stop := s.feed.listen()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	for {
		if _, err := fmt.Fprint(w, "event: change\ndata: {}\n\n"); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case _, ok := <-ch:
			if !ok {
				return
			}
		}
		// Many changes in a row are one.
		if wait(r.Context(), saveEvery) != nil {
			return
		}
	}
}
