package simulator

import "net/http"

// The permissions that operations ask for, of each of which one is enough.
func readCalendars() []string {
	return []string{"Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic", "Calendars.ReadBasic.All"}
}
func writeCalendars() []string { return []string{"Calendars.ReadWrite"} }
func subscribe() []string      { return []string{"Calendars.Read", "Calendars.ReadWrite"} }
func readDirectory() []string {
	return []string{"User.Read.All", "User.ReadBasic.All", "Directory.Read.All"}
}

// readUser is readDirectory and what lets a person read their own profile.
func readUser() []string { return append(readDirectory(), "User.Read") }

func readSettings() []string { return []string{"MailboxSettings.Read", "MailboxSettings.ReadWrite"} }

func (s *Simulator) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /common/discovery/instance", s.serveInstances)
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.serveDiscovery)
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", s.serveKeys)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.serveToken)
	for _, method := range []string{"GET", "POST"} {
		mux.HandleFunc(method+" /{tenant}/oauth2/v2.0/authorize", s.serveAuthorize)
		mux.HandleFunc(method+" /{tenant}/v2.0/adminconsent", s.serveAdminConsent)
		mux.HandleFunc(method+" /{tenant}/adminconsent", s.serveAdminConsentV1)
	}
	s.controlRoutes(mux)
	s.pageRoutes(mux)
	return mux
}

// graphRoutes stands apart, since a tenant may have any name in the login's patterns.
func (s *Simulator) graphRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	// Everything of a person stands below /users/{user} and, with that person's own token, below /me.
	owned := func(method, path string, o operation) {
		mux.HandleFunc(method+" /v1.0/users/{user}"+path, s.graph(o))
		mux.HandleFunc(method+" /v1.0/me"+path, s.graph(o))
	}
	owned("GET", "", operation{"get_user", readUser(), false, getUser})
	owned("GET", "/mailboxSettings", operation{"get_mailbox_settings", readSettings(), true, getMailboxSettings})
	owned("GET", "/mailboxSettings/workingHours", operation{"get_working_hours", readSettings(), true, getWorkingHours})
	owned("POST", "/translateExchangeIds", operation{"translate_ids", readCalendars(), true, translateIDs})
	owned("POST", "/calendar/getSchedule", operation{"get_schedule", readCalendars(), true, getSchedule})
	owned("GET", "/calendarView", operation{"list_calendar_view", readCalendars(), true, listCalendarView})
	owned("GET", "/calendar/calendarView", operation{"list_calendar_view", readCalendars(), true, listCalendarView})
	for _, events := range []string{"/events", "/calendar/events"} {
		owned("GET", events, operation{"list_events", readCalendars(), true, listEvents})
		owned("POST", events, operation{"create_event", writeCalendars(), true, createEvent})
		one := events + "/{event}"
		owned("GET", one, operation{"get_event", readCalendars(), true, getEvent})
		owned("PATCH", one, operation{"update_event", writeCalendars(), true, updateEvent})
		owned("DELETE", one, operation{"delete_event", writeCalendars(), true, deleteEvent})
		owned("GET", one+"/instances", operation{"list_instances", readCalendars(), true, listInstances})
		owned("POST", one+"/accept", operation{"accept_event", writeCalendars(), true, respond(answerAccepted)})
		owned("POST", one+"/decline", operation{"decline_event", writeCalendars(), true, respond(answerDeclined)})
		owned("POST", one+"/tentativelyAccept", operation{"tentatively_accept_event", writeCalendars(), true, respond(answerTentative)})
		owned("POST", one+"/cancel", operation{"cancel_event", writeCalendars(), true, cancelEvent})
		owned("POST", one+"/dismissReminder", operation{"dismiss_reminder", writeCalendars(), true, dismissReminder})
	}
	plain := func(pattern string, o operation) { mux.HandleFunc(pattern, s.graph(o)) }
	plain("GET /v1.0/users", operation{"list_users", readDirectory(), false, listUsers})
	plain("POST /v1.0/subscriptions", operation{"create_subscription", subscribe(), false, createSubscription})
	plain("GET /v1.0/subscriptions", operation{"list_subscriptions", subscribe(), false, listSubscriptions})
	plain("GET /v1.0/subscriptions/{subscription}", operation{"get_subscription", subscribe(), false, getSubscription})
	plain("PATCH /v1.0/subscriptions/{subscription}", operation{"update_subscription", subscribe(), false, updateSubscription})
	plain("DELETE /v1.0/subscriptions/{subscription}", operation{"delete_subscription", subscribe(), false, deleteSubscription})
	plain("POST /v1.0/subscriptions/{subscription}/reauthorize", operation{"reauthorize_subscription", subscribe(), false, reauthorizeSubscription})
	plain("POST /v1.0/$batch", operation{"batch", nil, false, runBatch})
	plain("/v1.0/", operation{"unknown", nil, false, func(c *call) (int, any, error) {
		return 0, nil, unknownSegment(c.r.URL.Path)
	}})
	return mux
}
