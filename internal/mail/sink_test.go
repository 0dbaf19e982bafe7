package mail

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// sink is a mail server that keeps what it gets.
type sink struct {
	// addr is host:port.
	addr  string
	roots *x509.CertPool

	mu  sync.Mutex
	got []received
	// refuse is asked at RCPT and at the end of the data.
	refuseRcpt, refuseData error
	// hangUp ends the connection when the data has come, without an answer.
	hangUp bool
}

// received is one mail.
type received struct {
	from      string
	to        []string
	raw       string
	header    netmail.Header
	text      string
	html      string
	encrypted bool
	user      string
}

// encryption is how a sink is encrypted.
type encryption int

const (
	never encryption = iota
	startTLS
	always
)

func newSink(t *testing.T, how encryption) *sink {
	t.Helper()
	k := &sink{}
	server := smtp.NewServer(k)
	server.Domain, server.AllowInsecureAuth = "localhost", true
	cfg := k.certificate(t)
	if how == startTLS {
		server.TLSConfig = cfg
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k.addr = l.Addr().String()
	if how == always {
		l = tls.NewListener(l, cfg)
	}
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
	return k
}

// certificate borrows httptest's, which is for 127.0.0.1.
func (k *sink) certificate(t *testing.T) *tls.Config {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	k.roots = x509.NewCertPool()
	k.roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
}

func (k *sink) all() []received {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]received(nil), k.got...)
}

// NewSession is called for every connection, and again when it was encrypted.
func (k *sink) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, encrypted := c.TLSConnectionState()
	return &conversation{sink: k, conn: c, encrypted: encrypted}, nil
}

type conversation struct {
	sink      *sink
	conn      *smtp.Conn
	encrypted bool
	user      string
	now       received
}

func (c *conversation) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *conversation) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "right" {
			return errors.New("wrong")
		}
		c.user = user
		return nil
	}), nil
}

func (c *conversation) Mail(from string, _ *smtp.MailOptions) error {
	c.now = received{from: from, encrypted: c.encrypted, user: c.user}
	return nil
}

func (c *conversation) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.sink.mu.Lock()
	defer c.sink.mu.Unlock()
	c.now.to = append(c.now.to, to)
	return c.sink.refuseRcpt
}

func (c *conversation) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.sink.mu.Lock()
	defer c.sink.mu.Unlock()
	if c.sink.refuseData != nil {
		return c.sink.refuseData
	}
	c.now.raw = string(raw)
	if err := c.now.parse(); err != nil {
		return err
	}
	c.sink.got = append(c.sink.got, c.now)
	if c.sink.hangUp {
		return c.conn.Conn().Close()
	}
	return nil
}

func (c *conversation) Reset()        {}
func (c *conversation) Logout() error { return nil }

// parse takes the mail apart as a reader would.
func (r *received) parse() error {
	msg, err := netmail.ReadMessage(bytes.NewReader([]byte(r.raw)))
	if err != nil {
		return err
	}
	r.header = msg.Header
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if kind != "multipart/alternative" {
		return errors.New("no alternatives: " + kind)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return err
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			return err
		}
		if kind == "text/html" {
			r.html = string(content)
		} else {
			r.text = string(content)
		}
	}
}
