package callback

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyThePublicInternet(t *testing.T) {
	t.Parallel()
	g := newGuard()
	for _, tt := range []struct {
		address string
		public  bool
	}{
		{"8.8.8.8", true},
		{"20.190.160.1", true},
		{"100.63.255.255", true},
		{"100.128.0.0", true},
		{"172.15.255.255", true},
		{"172.32.0.0", true},
		{"2606:4700:4700::1111", true},
		{"2a00:1450:4001:810::200e", true},
		{"::ffff:8.8.8.8", true},
		{"64:ff9b::8.8.8.8", true},

		{"127.0.0.1", false},
		{"127.255.255.254", false},
		{"::1", false},
		{"::ffff:127.0.0.1", false},
		{"::ffff:10.0.0.1", false},
		{"::127.0.0.1", false},
		{"10.0.0.1", false},
		{"172.16.0.1", false},
		{"172.31.255.255", false},
		{"192.168.1.1", false},
		{"fd00::1", false},
		{"fd00:ec2::254", false},
		{"169.254.169.254", false},
		{"fe80::1", false},
		{"fe80::1%eth0", false},
		{"2606:4700::1%eth0", false},
		{"fec0::1", false},
		{"100.64.0.1", false},
		{"100.127.255.255", false},
		{"100.100.100.200", false},
		{"168.63.129.16", false},
		{"0.0.0.0", false},
		{"0.1.2.3", false},
		{"::", false},
		{"224.0.0.1", false},
		{"239.255.255.250", false},
		{"ff02::1", false},
		{"255.255.255.255", false},
		{"240.0.0.1", false},
		{"192.0.0.192", false},
		{"192.0.2.1", false},
		{"192.88.99.1", false},
		{"198.18.0.1", false},
		{"198.19.255.255", false},
		{"198.51.100.1", false},
		{"203.0.113.1", false},
		{"64:ff9b::127.0.0.1", false},
		{"64:ff9b::10.0.0.1", false},
		{"64:ff9b::169.254.169.254", false},
		{"64:ff9b:1::1", false},
		{"2002:7f00:1::", false},
		{"2002:a00:1::1", false},
		{"2002:808:808::1", false},
		{"2001::1", false},
		{"2001:db8::1", false},
		{"3fff::1", false},
		{"100::1", false},
		{"5f00::1", false},
		{"4000::1", false},
	} {
		if got := g.public(netip.MustParseAddr(tt.address)); got != tt.public {
			t.Errorf("%s: public is %v, want %v", tt.address, got, tt.public)
		}
	}
}

// The names and addresses below all lead to a server that is there: it must not see a thing.
func TestNothingReachesAPrivateReceiver(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 64)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Host }))
	defer receiver.Close()
	_, port, err := net.SplitHostPort(receiver.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, Config{}, receiver)
	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST", "127.1", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]",
	} {
		err := c.Send(t.Context(), message("https://"+host+":"+port+"/hooks"))
		failure, ok := errors.AsType[*Error](err)
		// A name that this machine can't resolve, such as 127.1, can't be called either.
		if !ok || failure.Reason != ReasonAddressRefused && failure.Reason != ReasonNameUnknown {
			t.Errorf("%s: %v", host, err)
		}
		if host == "localhost" && failure.Reason != ReasonAddressRefused {
			t.Errorf("%s: %v, the name was not refused for its address", host, err)
		}
	}
	select {
	case host := <-reached:
		t.Errorf("%s was reached", host)
	default:
	}
}

func TestWhatIsNoReceiversURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url          string
		allowPrivate bool
		good         bool
	}{
		{"https://platform.example/hooks?source=pairsync", false, true},
		{"https://platform.example:8443", false, true},
		{"http://platform.example/hooks", false, false},
		{"http://127.0.0.1:8000/hooks", true, true},
		{"ftp://platform.example", true, false},
		{"gopher://127.0.0.1:25/", true, false},
		{"file:///etc/passwd", true, false},
		{"platform.example/hooks", false, false},
		{"https://", false, false},
		{"https://:443/", false, false},
		{"https://user:pass@platform.example/", false, false},
		{"https://platform.example/#here", false, false},
		{"https://platform.example/\r\nX: y", false, false},
		{"", false, false},
	} {
		err := CheckURL(tt.url, tt.allowPrivate)
		if (err == nil) != tt.good {
			t.Errorf("%q: %v", tt.url, err)
		}
		if err != nil && strings.Contains(err.Error(), "platform") {
			t.Errorf("the URL is in the error: %v", err)
		}
		if tt.good {
			continue
		}
		c := client(t, Config{AllowPrivate: tt.allowPrivate}, nil)
		failure, ok := errors.AsType[*Error](c.Send(t.Context(), message(tt.url)))
		if !ok || failure.Reason != ReasonBadURL {
			t.Errorf("%q was sent to: %v", tt.url, failure)
		}
	}
}
