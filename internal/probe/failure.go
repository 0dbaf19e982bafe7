package probe

import (
	"errors"
	"strconv"
	"time"
)

// Hop is a part of the way from here to an endpoint.
type Hop string

// The hops, in the order in which a request passes them.
const (
	// HopDNS: the host's name leads nowhere.
	HopDNS Hop = "dns"
	// HopTCP: nobody takes the connection.
	HopTCP Hop = "tcp"
	// HopTLS: the certificate or the TLS handshake is not accepted.
	HopTLS Hop = "tls"
	// HopProxy: something in between refuses or answers in the endpoint's place.
	HopProxy Hop = "proxy"
	// HopTime: the answer comes too late.
	HopTime Hop = "time"
	// HopStatus: the endpoint answers with another status than it should.
	HopStatus Hop = "status"
	// HopBody: the endpoint answers with another body than it should.
	HopBody Hop = "body"
)

// Hops lists every Hop.
func Hops() []Hop { return []Hop{HopDNS, HopTCP, HopTLS, HopProxy, HopTime, HopStatus, HopBody} }

// HopError says where a way ends and how that is mended.
type HopError struct {
	Hop Hop
	// Status is the HTTP status that was answered; 0 when there was none.
	Status int
	// Detail is what was seen, as one line without the URL's query.
	Detail string
	// Remedy is what somebody can do about it.
	Remedy string

	cause error
}

// Error implements error.
func (f *HopError) Error() string { return f.Detail }

// Unwrap gives the error of package net, tls or http below, if there is one.
func (f *HopError) Unwrap() error { return f.cause }

// Reason is a word of a closed set for the failure, fit for a status: "door_" and the hop.
func (f *HopError) Reason() string { return "door_" + string(f.Hop) }

// Remedy is how err is mended; empty when err didn't come from this package.
func Remedy(err error) string {
	if f, ok := errors.AsType[*HopError](err); ok {
		return f.Remedy
	}
	return ""
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}
