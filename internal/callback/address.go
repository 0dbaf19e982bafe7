package callback

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrAddressRefused says that a receiver has an address that nothing is sent to.
var ErrAddressRefused = errors.New("the address is not on the public internet")

// nat64 is where NAT64 puts IPv4 addresses, which are in the last four bytes. https://www.rfc-editor.org/rfc/rfc6052
func nat64() netip.Prefix { return netip.MustParsePrefix("64:ff9b::/96") }

// global is all that IANA has handed out of IPv6.
// https://www.iana.org/assignments/ipv6-unicast-address-assignments
func global() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// special are the ranges that are nobody's on the public internet, and that netip has no word for.
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
func special() []netip.Prefix {
	words := []string{
		"0.0.0.0/8",        // this network
		"100.64.0.0/10",    // carrier-grade NAT
		"168.63.129.16/32", // Azure's own services, from inside a virtual machine
		"192.0.0.0/24",     // protocol assignments
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"240.0.0.0/4",      // reserved, and broadcast
		"2001::/23",        // protocol assignments, Teredo among them
		"2001:db8::/32",    // documentation
		"2002::/16",        // 6to4: any IPv4 address could be inside
		"3fff::/20",        // documentation
	}
	prefixes := make([]netip.Prefix, 0, len(words))
	for _, w := range words {
		prefixes = append(prefixes, netip.MustParsePrefix(w))
	}
	return prefixes
}

// guard judges addresses.
type guard struct {
	nat64, global netip.Prefix
	special       []netip.Prefix
}

func newGuard() *guard { return &guard{nat64: nat64(), global: global(), special: special()} }

// public says whether an address can only be reached on the public internet. An IPv4 address inside an IPv6 one is judged as
// what it is.
func (g *guard) public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Zone() != "" {
		return false // Only what is local to a link has a zone.
	}
	if g.nat64.Contains(addr) {
		bytes := addr.As16()
		addr = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	switch {
	case !addr.IsGlobalUnicast(), addr.IsPrivate():
		// Not global: unspecified, loopback, link-local, multicast, broadcast.
		return false
	case addr.Is6() && !g.global.Contains(addr):
		return false
	}
	return !slices.ContainsFunc(g.special, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// control is a net.Dialer's Control: it sees the address after the name was resolved and before the connection is made.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address to connect to: %w", err)
	}
	if !g.public(at.Addr()) {
		return ErrAddressRefused
	}
	return nil
}
