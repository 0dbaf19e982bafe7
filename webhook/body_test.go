package webhook

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

func testBodies() *bodies {
	return newBodies(Config{MaxBody: 1 << 20, SmallBodies: 256 << 10, LargeBodies: 2 << 20})
}

func request(r io.Reader, length int64) *http.Request {
	return &http.Request{Body: io.NopCloser(r), ContentLength: length}
}

func TestBodiesReadEverySize(t *testing.T) {
	t.Parallel()
	b := testBodies()
	for _, size := range []int{0, 1, 4095, 4096, 4097, smallBody - 1, smallBody, smallBody + 1, 1<<20 - 1, 1 << 20} {
		want := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		for _, announced := range []int64{int64(size), -1} {
			got, err := b.read(request(bytes.NewReader(want), announced))
			if err != nil || !bytes.Equal(got.bytes, want) {
				t.Errorf("%d bytes, announced as %d: read %d, error %v", size, announced, len(got.bytes), err)
			}
			got.release()
		}
	}
	if b.small.used.Load() != 0 || b.large.used.Load() != 0 {
		t.Errorf("%d and %d bytes are still taken", b.small.used.Load(), b.large.used.Load())
	}
}

func TestBodiesRefuseGiants(t *testing.T) {
	t.Parallel()
	b := testBodies()
	for name, r := range map[string]*http.Request{
		"announced":     request(iotest.ErrReader(errors.New("was read")), 1<<20+1),
		"not announced": request(io.LimitReader(zeros{}, 1<<40), -1),
		"by one byte":   request(io.LimitReader(zeros{}, 1<<20+1), -1),
	} {
		got, err := b.read(r)
		if !errors.Is(err, errBodyTooLarge) {
			t.Errorf("%s: error %v", name, err)
		}
		got.release()
	}
	if b.small.used.Load() != 0 || b.large.used.Load() != 0 {
		t.Errorf("%d and %d bytes are still taken", b.small.used.Load(), b.large.used.Load())
	}
}

func TestBodiesGiantsDontKeepSmallOnesOut(t *testing.T) {
	t.Parallel()
	b := testBodies()
	var held []*body
	for {
		got, err := b.read(request(io.LimitReader(zeros{}, 600<<10), -1))
		held = append(held, got)
		if err != nil {
			if !errors.Is(err, errNoRoom) {
				t.Fatal(err)
			}
			break
		}
		if len(held) > 10 {
			t.Fatal("no bound on large bodies")
		}
	}
	got, err := b.read(request(bytes.NewReader(make([]byte, 14<<10)), 14<<10))
	if err != nil {
		t.Errorf("a small body while the giants are in: %v", err)
	}
	for _, h := range append(held, got) {
		h.release()
	}
	if _, err := b.read(request(io.LimitReader(zeros{}, 600<<10), -1)); err != nil {
		t.Errorf("after the giants: %v", err)
	}
}

func TestBodiesBoundSmallOnes(t *testing.T) {
	t.Parallel()
	b := testBodies()
	var held []*body
	var err error
	for err == nil && len(held) < 1000 {
		var got *body
		got, err = b.read(request(bytes.NewReader(make([]byte, 10<<10)), 10<<10))
		held = append(held, got)
	}
	if !errors.Is(err, errNoRoom) {
		t.Errorf("%d bodies, error %v", len(held), err)
	}
	for _, h := range held {
		h.release()
	}
}

func TestBodiesPassErrorsOn(t *testing.T) {
	t.Parallel()
	b := testBodies()
	broken := errors.New("broken")
	got, err := b.read(request(io.MultiReader(bytes.NewReader(make([]byte, 5000)), iotest.ErrReader(broken)), 10_000))
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	got.release()
	if b.small.used.Load() != 0 {
		t.Errorf("%d bytes are still taken", b.small.used.Load())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
