package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	opAuthorize = "authorize"
	opConsent   = "admin_consent"
)

// The answers that the pages of the login take, as the field answer of their form or of the query, which answers at once.
const (
	answerConsent = "consent"
	answerCancel  = "cancel"
)

// asking is what an application asked a browser for at one of the login's pages.
type asking struct {
	app      App
	redirect string
	// tenant is the organisation that the address names, nil when any will do.
	tenant *tenant
	state  string
	// scopes are short names; scope is as it was asked.
	scopes []string
	scope  string
	// challenge, nonce, prompt and hint are for a person's sign-in only.
	challenge, nonce, prompt, hint string
}

// ask reads what all pages have in common. Its errors are shown on a page: where to send them is not known to be good.
func (s *Simulator) ask(r *http.Request) (*asking, *loginError) {
	q := r.URL.Query()
	in := &asking{redirect: q.Get("redirect_uri"), state: q.Get("state"), scope: q.Get("scope")}
	name := r.PathValue("tenant")
	if !anyTenant(name) {
		t, err := s.findTenant(name)
		if err != nil {
			return nil, unknownTenant(name)
		}
		in.tenant = t
	}
	id := q.Get("client_id")
	if id == "" {
		return nil, missing("client_id")
	}
	app, known := s.app(id)
	if !known {
		return nil, &loginError{status: http.StatusBadRequest, code: "unauthorized_client", number: 700016, message: fmt.Sprintf(
			"Application with identifier '%s' was not found in the directory '%s'.", id, name)}
	}
	in.app = app
	uris := s.redirectURIs(app)
	if !absolute(in.redirect) || len(uris) > 0 && !slices.Contains(uris, in.redirect) {
		return nil, &loginError{status: http.StatusBadRequest, code: "invalid_request", number: 50011, message: fmt.Sprintf(
			"The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application '%s'.",
			in.redirect, app.ClientID)}
	}
	return in, nil
}

// params are query parameters in the order in which Entra writes them.
type params [][2]string

// sendBack sends the browser to the application.
func (in *asking) sendBack(w http.ResponseWriter, r *http.Request, p params) {
	var b strings.Builder
	b.WriteString(in.redirect)
	sep := "?"
	if strings.Contains(in.redirect, "?") {
		sep = "&"
	}
	for _, kv := range p {
		b.WriteString(sep + kv[0] + "=" + url.QueryEscape(kv[1]))
		sep = "&"
	}
	w.Header().Set("Cache-Control", "no-store, no-cache")
	http.Redirect(w, r, b.String(), http.StatusFound)
}

// refused is an error as the redirect of a sign-in carries it.
func (in *asking) refused(e *loginError) params {
	p := params{{"error", e.code}, {"error_description", e.description(newGUID(), newGUID(), time.Now())}}
	if e.suberror != "" {
		p = append(p, [2]string{"error_subcode", e.suberror})
	}
	return in.withState(p)
}

func (in *asking) withState(p params) params {
	if in.state != "" {
		p = append(p, [2]string{"state", in.state})
	}
	return p
}

// declined is what Entra says of somebody who did not consent.
func declined() *loginError {
	return &loginError{
		status: http.StatusBadRequest, code: "access_denied", number: 65004, suberror: "cancel",
		message: "User declined to consent to access the app.",
	}
}

// serveAuthorize is the page on which a person signs in and consents.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
func (s *Simulator) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	s.counts.call(opAuthorize)
	in, e := s.ask(r)
	if e == nil && in.scope == "" {
		e = missing("scope")
	}
	if e != nil {
		s.showRefusal(w, e)
		return
	}
	if e := s.askedWell(in, r); e != nil {
		in.sendBack(w, r, in.refused(e))
		return
	}
	answer, person, ok := answered(w, r, "person")
	switch {
	case !ok:
		s.showRefusal(w, missing("answer"))
	case answer == "":
		s.showSignIn(w, in, in.hint, nil)
	case answer == answerCancel:
		in.sendBack(w, r, in.refused(declined()))
	default:
		if person == "" {
			person = in.hint
		}
		box, e := s.mayConsent(in, person)
		if e != nil {
			s.showSignIn(w, in, person, e)
			return
		}
		name := s.codes.add(&grantCode{
			app: in.app.ClientID, redirect: in.redirect, challenge: in.challenge, nonce: in.nonce, box: box, scopes: in.scopes,
		}, s.cfg.CodeLifetime)
		in.sendBack(w, r, append(in.withState(params{{"code", name}}), [2]string{"session_state", newGUID()}))
	}
}

// askedWell reads what only a sign-in has. Its errors go back to the application.
func (s *Simulator) askedWell(in *asking, r *http.Request) *loginError {
	q := r.URL.Query()
	wrong := func(code string, number int, format string, args ...any) *loginError {
		return &loginError{status: http.StatusBadRequest, code: code, number: number, message: fmt.Sprintf(format, args...)}
	}
	in.challenge, in.nonce, in.prompt, in.hint = q.Get("code_challenge"), q.Get("nonce"), q.Get("prompt"), q.Get("login_hint")
	if kind := q.Get("response_type"); kind != "code" {
		return wrong("unsupported_response_type", 700051, "response_type '%s' is not enabled for the application.", kind)
	}
	if mode := q.Get("response_mode"); mode != "" && mode != "query" {
		return wrong("invalid_request", 70007, "'%s' is not a supported value of 'response_mode' when requesting a code here.", mode)
	}
	method := q.Get("code_challenge_method")
	if in.challenge != "" && method != "S256" || in.challenge == "" && method != "" {
		return wrong("invalid_request", 501491, "Invalid Code_Challenge_method: only S256 is served, with a code_challenge.")
	}
	if n := len(in.challenge); n != 0 && n != 43 {
		return wrong("invalid_request", 501471, "Invalid size of Code_Challenge parameter.")
	}
	scopes, unknown := s.scopes(r, in.scope)
	if unknown != "" {
		return wrong("invalid_client", 650053, "The application '%s' asked for scope '%s' that doesn't exist on the resource '%s'. Contact the app vendor.",
			in.app.ClientID, unknown, graphAppID)
	}
	in.scopes = scopes
	switch in.prompt {
	case "", "login", "consent", "select_account":
	case "none":
		return wrong("login_required", 50058, "A silent sign-in request was sent but no user is signed in.")
	default:
		return wrong("invalid_request", 90023, "Unsupported 'prompt' value.")
	}
	return nil
}

// answered reads how a page was answered: by its form, or by the query for those who can't wait. An empty answer is none
// yet; ok is false for one that the page doesn't know. The second result is the value of the field that names who answers.
func answered(w http.ResponseWriter, r *http.Request, field string) (answer, who string, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	answer, who = r.FormValue("answer"), strings.TrimSpace(r.FormValue(field))
	if answer == "" {
		return "", "", r.Method != http.MethodPost
	}
	return answer, who, answer == answerConsent || answer == answerCancel
}

// mayConsent finds the person who signs in, if Entra lets them and they may consent.
func (s *Simulator) mayConsent(in *asking, person string) (*mailbox, *loginError) {
	w := s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	box, err := w.person(person)
	switch {
	case err != nil || box.kind == MailboxDeleted || in.tenant != nil && box.tenant != in.tenant:
		return nil, noAccount(person)
	case box.signIn.lasts():
		return nil, box.signIn.refusal()
	case box.tenant.adminsOnly && box.tenant.consent != ConsentGranted:
		return nil, &loginError{status: http.StatusBadRequest, code: "access_denied", number: 90094, message: fmt.Sprintf(
			"Need admin approval. %s has set a policy that lets only an administrator grant these permissions.", box.tenant.name)}
	}
	return box, nil
}
