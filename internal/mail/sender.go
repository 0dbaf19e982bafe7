package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html/template"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Config says through whom letters go.
type Config struct {
	// URL is smtp://user:password@host:587, which is encrypted by STARTTLS (without a user, and on loopback: where the server
	// offers it), or smtps://user:password@host:465, which is encrypted from the start. User and password are optional, and so
	// is the port.
	URL string
	// From is the sender: an address, or a name and an address in angle brackets.
	From string
	// Timeout bounds making the connection, and sending on it; 0 means 20 s.
	Timeout time.Duration
	// RootCAs are who may have signed the server's certificate; nil means whoever the system trusts.
	RootCAs *x509.CertPool
}

const (
	defaultTimeout = 20 * time.Second
	portSubmission = 587
	portImplicit   = 465
)

// Sender sends letters. It is safe for concurrent use; every letter has a connection of its own.
type Sender struct {
	from    string
	domain  string
	host    string
	options []gomail.Option
	form    *template.Template
}

// New checks cfg and makes no connection.
func New(cfg Config) (*Sender, error) {
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, errors.New("mail: From is no address")
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("mail: Timeout is negative")
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("mail: URL takes smtp:// or smtps:// and a host") // The cause may hold the password.
	}
	form, err := template.New("letter").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("mail: reading the page: %w", err)
	}
	s := &Sender{
		from: from.String(), domain: from.Address[strings.LastIndexByte(from.Address, '@')+1:], host: u.Hostname(), form: form,
		options: []gomail.Option{
			gomail.WithTimeout(cmp.Or(cfg.Timeout, defaultTimeout)),
			gomail.WithTLSConfig(&tls.Config{ServerName: u.Hostname(), RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12}),
		},
	}
	if strings.Contains(s.host, ":") {
		s.host = "[" + s.host + "]" // The library puts the port behind it as it is.
	}
	port := portSubmission
	if u.Scheme == "smtps" {
		port = portImplicit
	}
	if word := u.Port(); word != "" {
		if port, err = strconv.Atoi(word); err != nil || port < 1 || port > 65535 {
			return nil, errors.New("mail: URL has no such port")
		}
	}
	s.options = append(s.options, gomail.WithPort(port))
	s.options = append(s.options, security(u)...)
	if _, err := s.client(); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return s, nil
}

// security says how the connection is encrypted and who we are.
func security(u *url.URL) []gomail.Option {
	var options []gomail.Option
	switch {
	case u.Scheme == "smtps":
		options = append(options, gomail.WithSSL())
	case u.User != nil && !loopback(u.Hostname()):
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if u.User == nil {
		return options
	}
	password, _ := u.User.Password()
	options = append(options, gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	if loopback(u.Hostname()) {
		// What never leaves the machine need not be encrypted.
		return append(options, gomail.WithOpportunisticSMTPAuth(
			gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc))
	}
	return append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover))
}

// loopback says whether a host can only be this machine.
func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (s *Sender) client() (*gomail.Client, error) {
	c, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return c, nil
}

// Send sends a letter. The error is an *Error: the letter was not sent, or perhaps not.
func (s *Sender) Send(ctx context.Context, l Letter) error {
	msg, err := s.message(l)
	if err != nil {
		return &Error{Reason: ReasonUnwritable, cause: err}
	}
	client, err := s.client()
	if err != nil {
		return &Error{Reason: ReasonUnwritable, cause: err}
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() {
		return nil // What went wrong after the server took it is of no interest.
	}
	return failed(err)
}

// message makes the mail. Its encoding of headers and the check of the address keep line breaks out of them.
func (s *Sender) message(l Letter) (*gomail.Msg, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	to, err := mail.ParseAddress(l.To)
	if err != nil {
		return nil, errors.New("the recipient is no address")
	}
	page, err := l.html(s.form)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg()
	if err := msg.From(s.from); err != nil {
		return nil, errors.New("the sender is no address")
	}
	if err := msg.To(to.Address); err != nil {
		return nil, errors.New("the recipient is no address")
	}
	msg.Subject(line(l.Subject))
	msg.SetDate()
	if l.ID != "" {
		msg.SetMessageIDWithValue(line(l.ID) + "@" + s.domain)
	} else {
		msg.SetMessageID()
	}
	// Nobody's holiday greeting should answer. https://www.rfc-editor.org/rfc/rfc3834
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	msg.SetBodyString(gomail.TypeTextPlain, l.text())
	msg.AddAlternativeString(gomail.TypeTextHTML, page)
	return msg, nil
}
