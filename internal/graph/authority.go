package graph

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// checkedURL parses a base URL: https anywhere, plain http on loopback only, so that no token ever crosses a network in the
// clear.
func checkedURL(what, raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: not a URL", what)
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("%s: takes scheme, host and path", what)
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("%s: takes https, or plain http on loopback", what)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// plainAuthority lets azidentity, which refuses any authority that isn't https, talk to one on loopback that isn't: it is
// given an https address, and every request to that host goes out as http. What the authority says of itself in its
// discovery document is turned the other way round, since MSAL compares the issuer's scheme with the authority's.
type plainAuthority struct {
	host string
	base http.RoundTripper
}

// RoundTrip sends a copy of the request as plain http when it is for the authority.
func (p plainAuthority) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || !strings.EqualFold(req.URL.Host, p.host) {
		return p.base.RoundTrip(req)
	}
	plain := req.Clone(req.Context())
	plain.URL.Scheme = "http"
	resp, err := p.base.RoundTrip(plain)
	if err != nil || !strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration") {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	closeErr := resp.Body.Close()
	if err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("reading the authority's discovery document: %w", err)
	}
	body = bytes.ReplaceAll(body, []byte("http://"+p.host), []byte("https://"+p.host))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return resp, nil
}
