package workers_test

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"pairsync/internal/mail"
)

// postOffice is a mail server that keeps what it gets.
type postOffice struct {
	url string

	mu      sync.Mutex
	letters []letter
	tries   int
	refuse  error
	// hold keeps every letter waiting at its end until it is closed.
	hold chan struct{}
	// hangUp ends the connection in place of an answer.
	hangUp bool
}

// letter is one that came.
type letter struct {
	to, subject, text, html string
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	p := &postOffice{}
	server := smtp.NewServer(p)
	server.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "smtp://" + l.Addr().String()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // It ends when the server is closed.
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return p
}

func (p *postOffice) sender(t *testing.T) *mail.Sender {
	t.Helper()
	s, err := mail.New(mail.Config{URL: p.url, From: "pairsync@school.example"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *postOffice) set(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

// all are the letters that came, in order.
func (p *postOffice) all() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]letter(nil), p.letters...)
}

func (p *postOffice) tried() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries
}

// NewSession is called for every connection.
func (p *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &talk{office: p, conn: c}, nil
}

type talk struct {
	office *postOffice
	conn   *smtp.Conn
	to     string
}

func (*talk) Mail(string, *smtp.MailOptions) error { return nil }

func (c *talk) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = to
	return nil
}

func (c *talk) Data(r io.Reader) error {
	l := letter{to: c.to}
	if err := l.read(r); err != nil {
		return err
	}
	c.office.mu.Lock()
	c.office.tries++
	hold := c.office.hold
	c.office.mu.Unlock()
	if hold != nil {
		<-hold
	}
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	if c.office.refuse != nil {
		return c.office.refuse
	}
	c.office.letters = append(c.office.letters, l)
	if c.office.hangUp {
		return c.conn.Conn().Close()
	}
	return nil
}

func (*talk) Reset()        {}
func (*talk) Logout() error { return nil }

// read takes a letter apart.
func (l *letter) read(r io.Reader) error {
	msg, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return err
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			l.html = string(content)
		} else {
			l.text = strings.ReplaceAll(string(content), "\r\n", "\n")
		}
	}
}
