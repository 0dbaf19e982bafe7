package simulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// newImmutableID returns an id that survives moves between folders.
// https://learn.microsoft.com/graph/outlook-immutable-id
func newImmutableID() string {
	return "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A" + base64.RawURLEncoding.EncodeToString(randomBytes(24)) + "AAA="
}

// newDefaultID returns an id of the default format, which changes when the item moves to another folder.
func newDefaultID() string {
	return "AAMkA" + base64.RawURLEncoding.EncodeToString(randomBytes(84)) + "AAA="
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // Never fails.
	return b
}

// newICalUID returns a global object id as Exchange makes them: class id, instance date (zero), creation time, random data.
func newICalUID(now time.Time) string {
	// A FILETIME counts 100 ns since 1601-01-01.
	filetime := uint64(now.Unix()+11644473600)*10_000_000 + uint64(now.Nanosecond()/100) //nolint:gosec // G115: after 1970.
	var stamp [8]byte
	binary.LittleEndian.PutUint64(stamp[:], filetime)
	return "040000008200E00074C5B7101A82E00800000000" + strings.ToUpper(hex.EncodeToString(stamp[:])) +
		"000000000000000010000000" + strings.ToUpper(hex.EncodeToString(randomBytes(16)))
}

// instanceICalUID is the global object id of one instance of a series: the master's with the instance's date in it.
func instanceICalUID(master string, day time.Time) string {
	if len(master) < 40 {
		return master
	}
	return master[:32] + fmt.Sprintf("%04X%02X%02X", day.Year(), int(day.Month()), day.Day()) + master[40:]
}

// changeKey is the version of an item as Exchange prints it: the store's id and a running number.
func changeKey(store [16]byte, version uint64) string {
	var b [22]byte
	copy(b[:], store[:])
	binary.BigEndian.PutUint32(b[18:], uint32(version)) //nolint:gosec // G115: nobody makes four billion changes.
	return base64.StdEncoding.EncodeToString(b[:])
}

func newGUID() string { return uuid.NewString() }

// joinURL is the Teams link of a meeting.
func joinURL(tenant, organizer string) string {
	thread := base64.RawURLEncoding.EncodeToString(randomBytes(36))
	return "https://teams.microsoft.com/l/meetup-join/19%3ameeting_" + thread + "%40thread.v2/0?context=%7b%22Tid%22%3a%22" +
		tenant + "%22%2c%22Oid%22%3a%22" + organizer + "%22%7d"
}

// servicePrincipal is the object id that an application has in an organisation.
func servicePrincipal(tenant, app string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(tenant+"/"+app)).String()
}
