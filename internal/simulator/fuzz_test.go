package simulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzRequests throws anything at every door: no panic, and never an answer that says it is our fault.
func FuzzRequests(f *testing.F) {
	s, err := New(Config{HandshakeTimeout: time.Millisecond, Transport: wire(func(*http.Request) *http.Response { return answer(403, "") })})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.AddTenant(Tenant{ID: contoso}); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace"} {
		if _, err := s.AddUser(User{Tenant: contoso, Name: name, Email: email(name)}); err != nil {
			f.Fatal(err)
		}
	}
	token, err := s.tokens.issue(claims{
		TenantID: contoso, AppID: appID, Roles: App{}.permissions(),
		RegisteredClaims: jwt.RegisteredClaims{Audience: jwt.ClaimStrings{graphAudience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour))},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][3]string{
		{"POST", "/v1.0/users/ada@contoso.example/events", `{"subject":"x","start":{"dateTime":"2031-01-01T10:00:00","timeZone":"UTC"},"end":{"dateTime":"2031-01-01T11:00:00","timeZone":"UTC"},"recurrence":{"pattern":{"type":"daily","interval":0},"range":{"type":"numbered","numberOfOccurrences":3}}}`},
		{"GET", "/v1.0/users/ada@contoso.example/events?$top=1&$skip=9&$select=start&$expand=exceptionOccurrences&$filter=iCalUId eq ''''", ""},
		{"GET", "/v1.0/users/ada@contoso.example/calendarView?startDateTime=2031-01-01&endDateTime=9999-12-31T00:00:00Z", ""},
		{"POST", "/v1.0/subscriptions", `{"changeType":"created","notificationUrl":"http://x","resource":"users/ada@contoso.example/events","expirationDateTime":"2031-01-01T00:00:00Z"}`},
		{"POST", "/v1.0/$batch", `{"requests":[{"id":"1","method":"GET","url":"/users"},{"id":"2","method":"GET","url":"users?$top=x","dependsOn":["1"]}]}`},
		{"POST", "/v1.0/users/ada@contoso.example/calendar/getSchedule", `{"schedules":["grace@contoso.example"],"startTime":{"dateTime":"2031-01-01","timeZone":"UTC"},"endTime":{"dateTime":"2031-01-02","timeZone":"UTC"},"availabilityViewInterval":5}`},
		{"POST", "/simulator/meetings", `{"organizer":"ada@contoso.example","start":"2031-01-01T00:00:00Z","end":"2031-01-01T01:00:00Z","repeat":"weekly","count":5}`},
		{"POST", "/simulator/act", `{"do":"move","event":"x","start":"2031-01-01T00:00:00Z"}`},
		{"POST", "/" + contoso + "/oauth2/v2.0/token", "grant_type=client_credentials&client_id=x&client_secret=y&scope=z"},
		{"PATCH", "/v1.0/users/ada@contoso.example/events/%2F", `{"attendees":[{}]}`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://x/", strings.NewReader(body))
		if err != nil {
			return
		}
		path, query, _ := strings.Cut(target, "?")
		if path == "/simulator/feed" || !strings.HasPrefix(path, "/") {
			return
		}
		req.URL.Path, req.URL.RawQuery = path, query
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		if rec.Code >= 500 && rec.Code != http.StatusNotImplemented {
			t.Errorf("%s %s with %q: %d %s", method, target, body, rec.Code, rec.Body)
		}
	})
}
