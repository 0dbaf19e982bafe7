package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// plain talks to pairsync and to the simulator as curl would: requests, JSON, and redirects that a browser follows.
type plain struct {
	site *site
	http *http.Client
	// api has the version and the tenant, outlook is the simulator's base.
	api     string
	outlook string
}

func newPlain(t *testing.T, s *site) *plain {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &plain{
		site: s, http: &http.Client{Transport: transport}, api: s.api.base + "/tenants/" + organisations()[0].tenant,
		outlook: s.env["PAIRSYNC_AUTHORITY_URL"],
	}
}

// send sends JSON, or nothing for nil, and gives the status and the body of the answer.
func (p *plain) send(ctx context.Context, method, target string, in any) (status int, answer []byte, err error) {
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(target, p.api) {
		req.Header.Set("Authorization", "Bearer swordfish")
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// must sends and reads the answer, which has to be a success.
func must[T any](t *testing.T, p *plain, method, target string, in any) T {
	t.Helper()
	status, answer, err := p.send(t.Context(), method, target, in)
	if err != nil || status >= 300 {
		t.Fatalf("%s %s answers %d %s, %v", method, target, status, answer, err)
	}
	var out T
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &out); err != nil {
			t.Fatalf("%s %s answers %s: %v", method, target, answer, err)
		}
	}
	return out
}

// person does something in Outlook.
func (p *plain) person(t *testing.T, act map[string]any) {
	t.Helper()
	must[struct{}](t, p, http.MethodPost, p.outlook+"/simulator/act", act)
}

// browse opens a link to the simulated login, gives the answer there, and follows to the page at our own door.
func (p *plain) browse(t *testing.T, link, says string) {
	t.Helper()
	page, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(link, p.outlook+"/") {
		t.Fatalf("the link leads to %s", link)
	}
	query := page.Query()
	query.Set("answer", "consent")
	page.RawQuery = query.Encode()
	status, body, err := p.send(t.Context(), http.MethodGet, page.String(), nil)
	if err != nil || status != http.StatusOK || !strings.Contains(string(body), says) {
		t.Fatalf("coming back shows %d, %v, and not %q: %s", status, err, says, body)
	}
}

// plainSession is a session as the API gives it.
type plainSession struct {
	Status    string
	StartsAt  time.Time `json:"starts_at"`
	JoinURL   string    `json:"join_url"`
	Attendees []struct{ RSVP apiRSVP }
	Outlook   struct {
		EventID string `json:"event_id"`
		State   string
	}
}

// until waits for the session to be so.
func (p *plain) until(t *testing.T, what string, so func(plainSession) bool) plainSession {
	t.Helper()
	var s plainSession
	within(t, what, func(ctx context.Context) (bool, error) {
		status, answer, err := p.send(ctx, http.MethodGet, p.api+"/sessions/s-1", nil)
		if err != nil || status != http.StatusOK {
			return false, fmt.Errorf("status %d, %w", status, err)
		}
		s = plainSession{}
		if err := json.Unmarshal(answer, &s); err != nil {
			return false, err
		}
		if !so(s) {
			return false, fmt.Errorf("the session is %s", answer)
		}
		return true, nil
	})
	return s
}

// receiver is a platform's receiver of callbacks. Until it is opened nobody listens at its address.
type receiver struct {
	addr string

	mu     sync.Mutex
	secret string
	// got are the changes in the order in which they came for the first time, seen their ids.
	got   []apiChange
	seen  map[string]bool
	wrong []string
}

func (r *receiver) open(t *testing.T) {
	t.Helper()
	server := httptest.NewUnstartedServer(r)
	_ = server.Listener.Close()
	l, err := listen(t.Context(), "receiver", "the address", r.addr, server.Config, quiet())
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = l.listener
	server.Start()
	t.Cleanup(server.Close)
}

// ServeHTTP verifies a callback with the scheme's own library.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	verifier, bad := standardwebhooks.NewWebhook(r.secret)
	if err != nil || bad != nil || verifier.Verify(body, req.Header) != nil {
		r.wrong = append(r.wrong, fmt.Sprintf("not verified: %v %v %s", err, bad, body))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var message struct {
		Type string
		Data apiChange
	}
	if err := json.Unmarshal(body, &message); err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
	if id := req.Header.Get(standardwebhooks.HeaderWebhookID); !r.seen[id] {
		r.seen[id] = true
		r.got = append(r.got, message.Data)
	}
	w.WriteHeader(http.StatusNoContent)
}

// kinds are what came so far, and what was wrong with it.
func (r *receiver) kinds() (kinds, wrong []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, change := range r.got {
		kinds = append(kinds, change.Source+" "+change.Kind)
	}
	return kinds, r.wrong
}

// letters is a mail server that keeps what it gets.
type letters struct {
	mu  sync.Mutex
	got []string
}

func startLetters(t *testing.T) (*letters, string) {
	t.Helper()
	box := &letters{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: box}, nil }))
	server.Domain = "localhost"
	l, err := listen(t.Context(), "mail", "the address", "127.0.0.1:0", &http.Server{ReadHeaderTimeout: time.Second}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l.listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return box, "smtp://" + l.addr()
}

// with counts the letters that hold the text; a line break in a letter counts as a space.
func (l *letters) with(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, letter := range l.got {
		letter = strings.ReplaceAll(letter, "=\r\n", "")
		if strings.Contains(strings.Join(strings.Fields(letter), " "), text) {
			n++
		}
	}
	return n
}

type delivery struct {
	box *letters
	to  string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.got = append(d.box.got, "for "+d.to+" "+string(raw))
	return err
}

func (d *delivery) Reset()        {}
func (d *delivery) Logout() error { return nil }
