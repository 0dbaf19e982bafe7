package simulator

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// BenchmarkGetEvent reads what pairsync reads, without the network.
func BenchmarkGetEvent(b *testing.B) {
	s, token := benchOffice(b)
	booked, err := s.Book(Meeting{Organizer: email("Ada"), Attendees: []string{email("Grace")}, Start: monday(), End: monday().Add(time.Hour), Online: true})
	if err != nil {
		b.Fatal(err)
	}
	url := "/v1.0/users/" + booked.Mailbox + "/events/" + booked.ID +
		"?$select=iCalUId,changeKey,type,seriesMasterId,originalStart,start,end,isCancelled,lastModifiedDateTime,onlineMeeting,attendees,organizer"
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, url, http.NoBody)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Prefer", `IdType="ImmutableId"`)
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			b.Fatal(rec.Body)
		}
	}
}

// BenchmarkMove is one change with its effects on both copies, among ten thousand events.
func BenchmarkMove(b *testing.B) {
	s, _ := benchOffice(b)
	var last Booked
	for range 10_000 {
		var err error
		if last, err = s.Book(Meeting{Organizer: email("Ada"), Attendees: []string{email("Grace")}, Start: monday(), End: monday().Add(time.Hour)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	at := monday()
	for b.Loop() {
		at = at.Add(time.Second)
		if err := s.Move(last.ID, at, at.Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchOffice(b *testing.B) (s *Simulator, token string) {
	b.Helper()
	s, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.AddTenant(Tenant{ID: contoso}); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace"} {
		if _, err := s.AddUser(User{Tenant: contoso, Name: name, Email: email(name)}); err != nil {
			b.Fatal(err)
		}
	}
	token, err = s.tokens.issue(claims{
		TenantID: contoso, AppID: appID, Roles: App{}.permissions(),
		RegisteredClaims: jwt.RegisteredClaims{Audience: jwt.ClaimStrings{graphAudience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour))},
	})
	if err != nil {
		b.Fatal(err)
	}
	return s, token
}
