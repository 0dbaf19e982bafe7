package webhook

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// smallBody is up to which size a body counts as small, in bytes. Graph's own POSTs are a few kilobytes: some 700 bytes an item.
const smallBody = 128 << 10

var (
	errBodyTooLarge = errors.New("body too large")
	errNoRoom       = errors.New("too many bodies in memory")
)

// bodies reads the bodies of POSTs into memory that is bounded over all of them. Memory is taken as bytes arrive, never on a
// client's word.
type bodies struct {
	max          int64
	small, large budget
	pool         sync.Pool // of *[]byte, for small bodies
}

// budget is a number of bytes that may be in use at once.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// body is a POST's body in memory.
type body struct {
	bytes    []byte
	of       *bodies
	buf      *[]byte // from the pool
	smallish int64   // taken from the small budget
	largeish int64   // taken from the large one
}

func newBodies(cfg Config) *bodies {
	b := &bodies{max: cfg.MaxBody, small: budget{limit: cfg.SmallBodies}, large: budget{limit: cfg.LargeBodies}}
	b.pool.New = func() any {
		buf := make([]byte, 0, 4<<10)
		return &buf
	}
	return b
}

// read takes the request's body in. The result must be released, whatever the error; the error is errBodyTooLarge, errNoRoom or the
// reader's own.
func (b *bodies) read(r *http.Request) (*body, error) {
	got := &body{of: b}
	if r.ContentLength > b.max {
		return got, errBodyTooLarge
	}
	got.buf, _ = b.pool.Get().(*[]byte)
	got.bytes = (*got.buf)[:0]
	if !got.grow(int64(cap(got.bytes))) {
		return got, errNoRoom
	}
	for {
		if len(got.bytes) == cap(got.bytes) {
			if int64(len(got.bytes)) > b.max {
				return got, errBodyTooLarge
			}
			if err := got.enlarge(r.ContentLength); err != nil {
				return got, err
			}
		}
		n, err := r.Body.Read(got.bytes[len(got.bytes):cap(got.bytes)])
		got.bytes = got.bytes[:len(got.bytes)+n]
		if int64(len(got.bytes)) > b.max {
			return got, errBodyTooLarge
		}
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// enlarge doubles the buffer, or makes it as large as the client says it must be if that is less.
func (b *body) enlarge(announced int64) error {
	size := 2 * int64(cap(b.bytes))
	if announced >= int64(len(b.bytes)) && announced < size {
		size = announced + 1 // one more, to see the end without another round
	}
	size = min(size, b.of.max+1)
	if !b.grow(size) {
		return errNoRoom
	}
	larger := make([]byte, len(b.bytes), size)
	copy(larger, b.bytes)
	b.bytes = larger
	if size <= smallBody {
		*b.buf = larger
		return nil
	}
	b.releaseSmall() // a giant takes nothing from the small ones
	return nil
}

// grow accounts for a buffer of size bytes instead of what was accounted for before.
func (b *body) grow(size int64) bool {
	if size <= smallBody {
		more := size - b.smallish
		if !b.of.small.take(more) {
			return false
		}
		b.smallish += more
		return true
	}
	more := size - b.largeish
	if !b.of.large.take(more) {
		return false
	}
	b.largeish += more
	return true
}

// release gives the memory back; bytes and all views of it are invalid from here on.
func (b *body) release() {
	b.releaseSmall()
	b.of.large.give(b.largeish)
	b.largeish, b.bytes = 0, nil
}

func (b *body) releaseSmall() {
	b.of.small.give(b.smallish)
	b.smallish = 0
	if b.buf != nil {
		b.of.pool.Put(b.buf)
		b.buf = nil
	}
}
