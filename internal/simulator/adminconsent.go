package simulator

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// serveAdminConsent is the page on which an admin consents for the whole organisation, in the version of the v2.0 endpoint.
// https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
func (s *Simulator) serveAdminConsent(w http.ResponseWriter, r *http.Request) {
	s.counts.call(opConsent)
	in, e := s.ask(r)
	switch {
	case e != nil:
	case r.PathValue("tenant") == "common":
		e = &loginError{status: http.StatusBadRequest, code: "invalid_request", number: 90002, message: "Use the organisation's id or 'organizations' here, not 'common'."}
	case in.scope == "":
		e = missing("scope")
	}
	if e != nil {
		s.showRefusal(w, e)
		return
	}
	whole := slices.ContainsFunc(strings.Fields(in.scope), func(word string) bool { return strings.HasSuffix(word, "/.default") })
	granted := []string{}
	if whole {
		for _, role := range in.app.permissions() {
			granted = append(granted, graphAudience+"/"+role)
		}
	} else {
		var unknown string
		if in.scopes, unknown = s.scopes(r, in.scope); unknown != "" {
			s.showRefusal(w, &loginError{
				status: http.StatusBadRequest, code: "invalid_client", number: 650053,
				message: "The application asked for scope '" + unknown + "' that doesn't exist on the resource '" + graphAppID + "'.",
			})
			return
		}
		for _, scope := range in.scopes {
			granted = append(granted, graphAudience+"/"+scope)
		}
	}
	s.adminConsent(w, r, in, whole,
		func(t *tenant) params {
			return in.withState(params{{"admin_consent", "True"}, {"tenant", t.id}, {"scope", strings.Join(granted, " ")}})
		},
		func() params {
			// It says that the admin consented although it is an error: who reads only that is wrong.
			e := &loginError{number: 65004, message: "The resource owner or authorization server denied the request."}
			return in.withState(params{
				{"admin_consent", "True"},
				{"error", "consent_required"},
				{"error_description", e.description(newGUID(), newGUID(), time.Now())},
			})
		})
}

// serveAdminConsentV1 is the same in the older version, which grants all that the application is registered for.
func (s *Simulator) serveAdminConsentV1(w http.ResponseWriter, r *http.Request) {
	s.counts.call(opConsent)
	in, e := s.ask(r)
	if e != nil {
		s.showRefusal(w, e)
		return
	}
	s.adminConsent(w, r, in, true,
		func(t *tenant) params {
			return append(in.withState(params{{"tenant", t.id}}), [2]string{"admin_consent", "True"})
		},
		func() params {
			// The published answer has no state.
			return params{{"error", "permission_denied"}, {"error_description", "The admin canceled the request"}}
		})
}

// adminConsent shows the page or does what was answered. Only whole grants the application's own permissions.
func (s *Simulator) adminConsent(w http.ResponseWriter, r *http.Request, in *asking, whole bool, yes func(*tenant) params, no func() params) {
	answer, org, ok := answered(w, r, "organisation")
	switch {
	case !ok:
		s.showRefusal(w, missing("answer"))
		return
	case answer == "":
		s.showConsent(w, in, whole, nil)
		return
	case answer == answerCancel:
		in.sendBack(w, r, no())
		return
	}
	t := in.tenant
	if t == nil {
		var err error
		if t, err = s.findTenant(org); err != nil {
			s.showConsent(w, in, whole, unknownTenant(org))
			return
		}
	}
	s.consented(t, whole)
	in.sendBack(w, r, yes(t))
}

// consented is an admin's consent. The application's own permissions reach the token endpoint after a while.
func (s *Simulator) consented(t *tenant, whole bool) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	switch {
	case whole && t.consent != ConsentGranted:
		t.consent, t.rolesFrom = ConsentGranted, time.Now().Add(s.Behaviour().ConsentDelay.Duration)
	case !whole && t.consent == ConsentMissing:
		t.consent = ConsentWithdrawn // It is in the organisation now, without permissions of its own.
	}
	s.saver.dirty()
	s.feed.publish()
}
