package simulator

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"slices"
)

// mostListed is how many people or organisations a page of the login offers; others can be typed.
const mostListed = 200

// loginPage is what the template of the login's pages shows.
type loginPage struct {
	Title, Lead string
	// Who is the label of the field in which one says who one is, Field its name and Value what it holds; an empty Field
	// shows none.
	Who, Field, Value string
	Choices           []choice
	Permissions       []string
	Refusal           string
	// Form shows the buttons.
	Form bool
}

type choice struct{ Value, Label string }

func parseLoginPage() (*template.Template, error) {
	t, err := template.ParseFS(pageFiles, "page/login.html")
	if err != nil {
		return nil, fmt.Errorf("reading the login's page: %w", err)
	}
	return t, nil
}

func (s *Simulator) showLogin(w http.ResponseWriter, status int, p loginPage) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	// No form-action: browsers hold it against where the answer of the form leads, which is the application.
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_ = s.login.Execute(w, p) // The caller may have gone.
}

// showRefusal is the page of an error that must not be sent to where the request says.
func (s *Simulator) showRefusal(w http.ResponseWriter, e *loginError) {
	s.showLogin(w, e.status, loginPage{Title: "Sorry, but we’re having trouble signing you in", Refusal: e.short()})
}

func (e *loginError) short() string { return fmt.Sprintf("AADSTS%d: %s", e.number, e.message) }

func (s *Simulator) showSignIn(w http.ResponseWriter, in *asking, person string, e *loginError) {
	p := loginPage{
		Title: "Sign in", Lead: "The application " + cmp.Or(in.app.Name, in.app.ClientID) + " asks you to sign in, and for your permission to:",
		Who: "Sign in as", Field: "person", Value: person, Permissions: explained(in.scopes), Form: true,
	}
	s.world.mu.RLock()
	for _, box := range s.world.boxes(in.tenant) {
		if len(p.Choices) < mostListed && box.kind != MailboxDeleted {
			p.Choices = append(p.Choices, choice{box.email, box.name + ", " + cmp.Or(box.tenant.name, box.tenant.domain)})
		}
	}
	s.world.mu.RUnlock()
	s.showWith(w, p, e)
}

func (s *Simulator) showConsent(w http.ResponseWriter, in *asking, whole bool, e *loginError) {
	p := loginPage{
		Title: "Permissions requested", Permissions: explained(in.scopes), Form: true,
		Lead: "You are an administrator. The application " + cmp.Or(in.app.Name, in.app.ClientID) + " asks for these permissions in your whole organisation:",
	}
	if whole {
		p.Permissions = explained(in.app.permissions())
	}
	if in.tenant == nil {
		p.Who, p.Field = "Your organisation", "organisation"
		for _, t := range s.Tenants() {
			if len(p.Choices) < mostListed {
				p.Choices = append(p.Choices, choice{cmp.Or(t.Domain, t.ID), t.Name})
			}
		}
	} else {
		s.world.mu.RLock()
		p.Title = "Permissions requested for " + cmp.Or(in.tenant.name, in.tenant.domain, in.tenant.id)
		s.world.mu.RUnlock()
	}
	s.showWith(w, p, e)
}

func (s *Simulator) showWith(w http.ResponseWriter, p loginPage, e *loginError) {
	status := http.StatusOK
	if e != nil {
		status, p.Refusal = e.status, e.short()
	}
	s.showLogin(w, status, p)
}

// boxes are the mailboxes of an organisation, or of all, in order of their organisations' names. The caller holds the lock.
func (w *world) boxes(t *tenant) []*mailbox {
	if t != nil {
		return t.boxes
	}
	var all []*mailbox
	for _, t := range w.tenants {
		all = append(all, t.boxes...)
	}
	slices.SortStableFunc(all, func(a, b *mailbox) int {
		return cmp.Or(cmp.Compare(a.tenant.name, b.tenant.name), cmp.Compare(a.name, b.name))
	})
	return all
}

// explained are permissions in plain words beside their names.
func explained(permissions []string) []string {
	words := map[string]string{
		"Calendars.Read":            "read calendars",
		"Calendars.ReadBasic":       "read calendars without the texts of events",
		"Calendars.ReadBasic.All":   "read calendars without the texts of events",
		"Calendars.ReadWrite":       "read and write calendars",
		"MailboxSettings.Read":      "read mailbox settings, such as working hours",
		"MailboxSettings.ReadWrite": "read and write mailbox settings",
		"User.Read":                 "sign you in and read your profile",
		"User.Read.All":             "read everybody’s full profile",
		"User.ReadBasic.All":        "read everybody’s basic profile",
		"offline_access":            "keep this access while you are away",
		"openid":                    "sign you in",
		"profile":                   "see your name",
		"email":                     "see your e-mail address",
	}
	list := make([]string, len(permissions))
	for i, p := range permissions {
		list[i] = p
		if words[p] != "" {
			list[i] = words[p] + " (" + p + ")"
		}
	}
	return list
}
