package probe

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// graphWaits is how long Graph waits for the echo of a validation token.
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
const graphWaits = 10 * time.Second

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// Prober tries ways. The zero value is ready: it goes through the proxy that the environment names, and waits as long as
// Graph does.
type Prober struct {
	// Proxy chooses the proxy of a request; nil means the one that the environment names.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS is how certificates are judged; nil means as every program on this machine judges them.
	TLS *tls.Config
	// Wait is how long a handshake may take; zero means 10 s, as long as Graph waits.
	Wait time.Duration
}

// Reach asks the host of a URL for anything: every answer that is not of a server in trouble shows that it can be reached. It
// gives the time that the answer took. The error is a *HopError, or ctx's own end.
func (p Prober) Reach(ctx context.Context, target *url.URL) (time.Duration, error) {
	began := time.Now()
	got, err := p.send(ctx, http.MethodGet, target)
	if err != nil {
		return 0, err
	}
	if got.status >= http.StatusInternalServerError {
		return 0, &HopError{
			Hop: HopStatus, Status: got.status, Detail: fmt.Sprintf("%s answers %d", target.Host, got.status), Remedy: "try again later",
		}
	}
	return time.Since(began), nil
}

// Handshake does what Graph does before it accepts a subscription: the endpoint must echo a token to the byte, as plain text,
// in time. From here the way may be shorter than from Microsoft's network: a failure is one for Graph too, a success shows
// that all is well as far as this machine sees. The error is a *HopError, or ctx's own end.
func (p Prober) Handshake(ctx context.Context, endpoint *url.URL) error {
	wait := p.Wait
	if wait == 0 {
		wait = graphWaits
	}
	timed, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// Letters that a careless echo would garble.
	token := "pairsync: " + rand.Text() + " ü+&%<"
	door := *endpoint
	query := door.Query()
	query.Set("validationToken", token)
	door.RawQuery = query.Encode()
	got, err := p.send(timed, http.MethodPost, &door)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if failure, ok := errors.AsType[*HopError](err); ok && failure.Hop == HopTime {
		failure.Detail = fmt.Sprintf("%s doesn't answer within %s", endpoint.Host, seconds(wait))
		failure.Remedy = "Graph gives up after 10 s: look for a firewall that drops connections, a cold start, or a proxy that has nothing behind it"
	}
	if err != nil {
		return err
	}
	return judgeEcho(endpoint, got, token)
}

// judgeEcho says what is wrong with the answer to a handshake. The door itself answers a good handshake with 200 alone, so any
// other status was written by somebody else.
func judgeEcho(endpoint *url.URL, got answer, token string) error {
	fail := func(hop Hop, detail, remedy string) error {
		return &HopError{Hop: hop, Status: got.status, Detail: endpoint.Host + " " + detail, Remedy: remedy}
	}
	switch status := got.status; {
	case status >= 300 && status < 400:
		return fail(HopProxy, fmt.Sprintf("redirects (%d) instead of answering", status),
			"Graph follows no redirects: let PAIRSYNC_PUBLIC_URL be the very address, with https and without a sign-in page in front")
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return fail(HopProxy, fmt.Sprintf("answers %d: something in front of pairsync refuses the request", status),
			"let the firewall, gateway or proxy in front pass POST requests to /graph/ without signing in; Graph can't sign in")
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return fail(HopProxy, fmt.Sprintf("answers %d: something in front of pairsync can't reach it", status),
			"start the webhook role, and check where the proxy in front sends /graph/")
	case status != http.StatusOK:
		return fail(HopStatus, fmt.Sprintf("answers %d to the handshake, want 200", status),
			"PAIRSYNC_PUBLIC_URL must lead to the webhook role: something else answers there, or a proxy changes the path")
	case got.body != token:
		return fail(HopBody, "doesn't echo the validation token",
			"something in between answers instead of pairsync, or changes the query or the answer")
	case !strings.HasPrefix(strings.ToLower(got.contentType), "text/plain"):
		return fail(HopBody, "echoes the validation token, but not as text/plain", "something in between changes the answer")
	}
	return nil
}

// answer is what came back.
type answer struct {
	status      int
	contentType string
	body        string
}

// send sends a request without a body. Its errors don't hold the URL's query.
func (p Prober) send(ctx context.Context, method string, target *url.URL) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target.String(), http.NoBody)
	if err != nil {
		return answer{}, fmt.Errorf("making a request: %w", err)
	}
	var viaProxy atomic.Bool
	choose := p.Proxy
	if choose == nil {
		choose = http.ProxyFromEnvironment
	}
	transport := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			proxy, err := choose(r)
			viaProxy.Store(proxy != nil)
			return proxy, err
		},
		TLSClientConfig: p.TLS, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, failed(ctx, target, viaProxy.Load(), err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}, failed(ctx, target, viaProxy.Load(), err)
	}
	return answer{res.StatusCode, res.Header.Get("Content-Type"), string(body)}, nil
}

// failed finds the hop at which a request ended.
func failed(ctx context.Context, target *url.URL, viaProxy bool, err error) error {
	f := &HopError{cause: err}
	dns, noName := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case noName && !dns.IsTimeout:
		f.Hop, f.Detail = HopDNS, "the name "+dns.Name+" can't be found"
		f.Remedy = "check the host's spelling and its DNS record, which the internet has to see too"
	case isTLS(err):
		f.Hop, f.Detail = HopTLS, "the certificate of "+target.Host+" is not accepted: "+tlsDetail(err)
		f.Remedy = "give the host a certificate that browsers trust, with its whole chain, for this very name; a private authority goes into SSL_CERT_FILE"
	case timedOut(ctx, err):
		f.Hop, f.Detail = HopTime, target.Host+" doesn't answer in time"
		f.Remedy = "look for a firewall that drops connections instead of refusing them"
	case viaProxy:
		// The transport tells of a refused CONNECT by its status line alone.
		f.Hop, f.Detail = HopProxy, "the proxy that HTTPS_PROXY names doesn't let the request through: "+plain(err)
		f.Remedy = "let the proxy pass requests to " + target.Hostname() + ", or name the host in NO_PROXY"
	case isOp && op.Op == "dial":
		f.Hop, f.Detail = HopTCP, target.Host+" takes no connection: "+plain(op.Err)
		f.Remedy = "start what should listen there, and let firewalls and load balancers pass the port"
	default:
		f.Hop, f.Detail = HopTCP, target.Host+" breaks the connection off: "+plain(err)
		f.Remedy = "look at what stands in front: a load balancer without a healthy target, or http where https is spoken"
	}
	return f
}

func isTLS(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return verification || record || alert || strings.Contains(err.Error(), "tls: ")
}

func tlsDetail(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "nobody known has signed it, or the chain is not complete"
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return "it is not for " + name.Host
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "it has expired, or is not valid yet"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it doesn't speak TLS"
	}
	return plain(err)
}

func timedOut(ctx context.Context, err error) bool {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// plain is the error without the URL that net/http puts around it.
func plain(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
