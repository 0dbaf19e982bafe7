package simulator

import "net/http"

// peopleRoutes are those of the control API that concern sign-ins, consents and settings.
func (s *Simulator) peopleRoutes(mux *http.ServeMux) {
	mux.HandleFunc("PUT /simulator/users/{user}/sign-in", control(func(r *http.Request, b struct {
		SignIn SignIn `json:"sign_in"`
	},
	) (any, error) {
		return nil, s.SetSignIn(r.PathValue("user"), b.SignIn)
	}))
	mux.HandleFunc("GET /simulator/users/{user}/sessions", control(func(r *http.Request, _ struct{}) (any, error) {
		return s.Sessions(r.PathValue("user"))
	}))
	mux.HandleFunc("PUT /simulator/users/{user}/working-hours", control(func(r *http.Request, h WorkingHours) (any, error) {
		return nil, s.SetWorkingHours(r.PathValue("user"), h)
	}))
	mux.HandleFunc("PUT /simulator/apps/{app}/redirect-uris", control(func(r *http.Request, b struct {
		RedirectURIs []string `json:"redirect_uris"`
	},
	) (any, error) {
		return nil, s.SetRedirectURIs(r.PathValue("app"), b.RedirectURIs)
	}))
}
