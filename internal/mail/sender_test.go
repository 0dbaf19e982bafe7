package mail

import (
	"context"
	"errors"
	"mime"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

func letter() Letter {
	return Letter{ID: "letter-1", To: "owner@contoso.example", Subject: "Grüße <b>", Parts: []Part{{
		Title: "What happened", Paragraphs: []string{"Something & something else."}, Items: []string{"p-1", "p-2"},
	}}}
}

func sender(t *testing.T, cfg Config) *Sender {
	t.Helper()
	cfg.From = "Pairsync <pairsync@school.example>"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSend(t *testing.T) {
	t.Parallel()
	k := newSink(t, never)
	if err := sender(t, Config{URL: "smtp://" + k.addr}).Send(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	all := k.all()
	if len(all) != 1 {
		t.Fatalf("%d mails came", len(all))
	}
	got := all[0]
	if got.from != "pairsync@school.example" || len(got.to) != 1 || got.to[0] != "owner@contoso.example" {
		t.Errorf("envelope: from %q to %q", got.from, got.to)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject"))
	if err != nil || subject != "Grüße <b>" {
		t.Errorf("subject is %q, %v", subject, err)
	}
	for name, want := range map[string]string{
		"Message-Id": "<letter-1@school.example>", "Auto-Submitted": "auto-generated",
		"To": "<owner@contoso.example>", "From": `"Pairsync" <pairsync@school.example>`,
	} {
		if have := got.header.Get(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if at, err := got.header.Date(); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("date is %v, %v", at, err)
	}
	const text = "What happened\r\n-------------\r\nSomething & something else.\r\n\r\n- p-1\r\n- p-2\r\n"
	if strings.TrimSpace(got.text) != strings.TrimSpace(text) {
		t.Errorf("text is %q", got.text)
	}
	for _, want := range []string{"<title>Grüße &lt;b&gt;</title>", "Something &amp; something else.", "<li>p-2</li>"} {
		if !strings.Contains(got.html, want) {
			t.Errorf("%s is not in %s", want, got.html)
		}
	}
	for _, fetched := range []string{"http:", "https:", "<img", "<link", "<script", "url("} {
		if strings.Contains(got.html, fetched) {
			t.Errorf("%s is in the page", fetched)
		}
	}
}

func TestNothingIsSmuggledIn(t *testing.T) {
	t.Parallel()
	k := newSink(t, never)
	s := sender(t, Config{URL: "smtp://" + k.addr})
	l := letter()
	l.ID = "1\r\nBcc: victim@contoso.example"
	l.Subject = "Hello\r\nBcc: victim@contoso.example\r\n\r\nAnother body\u202e\x00"
	l.Parts[0].Title = "Title\r\n.\r\nMAIL FROM:<evil@contoso.example>"
	l.Parts[0].Items = []string{"<script>alert(1)</script>\n\n.\n"}
	if err := s.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	all := k.all()
	if len(all) != 1 || len(all[0].to) != 1 {
		t.Fatalf("%d mails came: %+v", len(all), all)
	}
	if got := all[0].header.Get("Bcc"); got != "" {
		t.Errorf("there is a Bcc: %s", got)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(all[0].header.Get("Subject"))
	if err != nil || subject != "Hello Bcc: victim@contoso.example Another body" {
		t.Errorf("subject is %q, %v", subject, err)
	}
	if strings.Contains(all[0].html, "<script") {
		t.Errorf("the page has markup: %s", all[0].html)
	}
	for _, to := range []string{"", "nobody", "a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example", "a@b.example\r\nRCPT TO:<c@d.example>"} {
		l := letter()
		l.To = to
		failure, ok := errors.AsType[*Error](s.Send(t.Context(), l))
		if !ok || failure.Reason != ReasonUnwritable {
			t.Errorf("to %q: %v", to, failure)
		}
	}
	if n := len(k.all()); n != 1 {
		t.Errorf("%d mails came", n)
	}
}

func TestLettersThatSayNothing(t *testing.T) {
	t.Parallel()
	s := sender(t, Config{URL: "smtp://127.0.0.1:1"})
	for _, l := range []Letter{{To: "a@b.example", Parts: []Part{{}}}, {To: "a@b.example", Subject: "x"}, {To: "a@b.example", Subject: "\r\n", Parts: []Part{{}}}} {
		failure, ok := errors.AsType[*Error](s.Send(t.Context(), l))
		if !ok || failure.Reason != ReasonUnwritable {
			t.Errorf("%+v: %v", l, failure)
		}
	}
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		server    encryption
		scheme    string
		trusted   bool
		encrypted bool
		want      Reason
	}{
		{"plain", never, "smtp", true, false, ""},
		{"offered", startTLS, "smtp", true, true, ""},
		{"offered by a stranger", startTLS, "smtp", false, false, ReasonUnreachable},
		{"from the start", always, "smtps", true, true, ""},
		{"from the start, a stranger", always, "smtps", false, false, ReasonUnreachable},
		{"missing", never, "smtps", true, false, ReasonUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newSink(t, tt.server)
			cfg := Config{URL: tt.scheme + "://ada:right@" + k.addr, Timeout: 5 * time.Second}
			if tt.trusted {
				cfg.RootCAs = k.roots
			}
			err := sender(t, cfg).Send(t.Context(), letter())
			if tt.want != "" {
				failure, ok := errors.AsType[*Error](err)
				if !ok || failure.Reason != tt.want || len(k.all()) != 0 {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := k.all()[0]; got.encrypted != tt.encrypted || got.user != "ada" {
				t.Errorf("encrypted is %v, user %q", got.encrypted, got.user)
			}
		})
	}
}

func TestWhatMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	later := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later, owner@contoso.example"}
	never5 := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such owner@contoso.example"}
	for _, tt := range []struct {
		name   string
		set    func(*sink)
		url    func(addr string) string
		reason Reason
		code   int
	}{
		{"recipient unknown", func(k *sink) { k.refuseRcpt = never5 }, nil, ReasonRefused, 550},
		{"recipient later", func(k *sink) { k.refuseRcpt = later }, nil, ReasonRefused, 451},
		{"content refused", func(k *sink) { k.refuseData = never5 }, nil, ReasonRefused, 550},
		{"content later", func(k *sink) { k.refuseData = later }, nil, ReasonRefused, 451},
		{"hung up", func(k *sink) { k.hangUp = true }, nil, ReasonUnsure, 0},
		{"wrong password", nil, func(addr string) string { return "smtp://ada:wrong@" + addr }, ReasonUnreachable, 0},
		{"nobody there", nil, func(string) string { return "smtp://" + unused(t) }, ReasonUnreachable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newSink(t, never)
			if tt.set != nil {
				tt.set(k)
			}
			url := "smtp://" + k.addr
			if tt.url != nil {
				url = tt.url(k.addr)
			}
			err := sender(t, Config{URL: url}).Send(t.Context(), letter())
			failure, ok := errors.AsType[*Error](err)
			if !ok || failure.Reason != tt.reason || failure.Code != tt.code {
				t.Fatalf("got %v, want %s %d", err, tt.reason, tt.code)
			}
			if strings.Contains(err.Error(), "@") {
				t.Errorf("an address is in the error: %v", err)
			}
		})
	}
}

// unused is an address at which nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestAPasswordIsNotGivenInTheOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url  string
		open bool
	}{
		{"smtp://mail.contoso.example", true},
		{"smtp://ada:right@127.0.0.1", true},
		{"smtp://ada:right@localhost:25", true},
		{"smtp://ada:right@mail.contoso.example", false},
		{"smtp://ada@mail.contoso.example:25", false},
	} {
		c, err := sender(t, Config{URL: tt.url}).client()
		if err != nil {
			t.Fatal(err)
		}
		if open := c.TLSPolicy() != "TLSMandatory"; open != tt.open {
			t.Errorf("%s: the policy is %s", tt.url, c.TLSPolicy())
		}
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failure, ok := errors.AsType[*Error](sender(t, Config{URL: "smtp://" + l.Addr().String()}).Send(ctx, letter()))
	if !ok || failure.Reason != ReasonUnreachable {
		t.Errorf("got %v", failure)
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"smtp://mail.example": "mail.example:587", "smtps://mail.example": "mail.example:465",
		"smtp://mail.example:25": "mail.example:25", "smtp://u:p@[::1]:2525": "[::1]:2525",
	} {
		c, err := sender(t, Config{URL: url}).client()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ServerAddr(); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	const good, from = "smtp://mail.example", "a@b.example"
	for _, cfg := range []Config{
		{URL: "", From: from},
		{URL: "mail.example", From: from},
		{URL: "http://mail.example", From: from},
		{URL: "smtp://", From: from},
		{URL: "smtp://u:S3CRET@host:0", From: from},
		{URL: "smtp://u:S3CRET@h:99999", From: from},
		{URL: "smtp://u:S3CRET@ho st", From: from},
		{URL: good, From: ""},
		{URL: good, From: "nobody"},
		{URL: good, From: from, Timeout: -1},
	} {
		_, err := New(cfg)
		if err == nil {
			t.Errorf("%+v is accepted", cfg)
		} else if strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}
