package embedded

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// mirror serves an archive that holds shell scripts instead of a server, made with
//
//	tar -cJf binaries.txz bin
//
// where bin has postgres, which prints the version 17.5, pg_ctl, which fails, and initdb, a symbolic link.
type mirror struct {
	*httptest.Server
	fetched atomic.Int64
	sum     string
	stall   chan struct{}
}

func newMirror(t *testing.T, sum string) *mirror {
	t.Helper()
	archive, err := os.ReadFile(filepath.Join("testdata", "binaries.txz"))
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, err := z.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if sum == "" {
		s := sha256.Sum256(jar.Bytes())
		sum = hex.EncodeToString(s[:])
	}
	m := &mirror{sum: sum}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case m.stall != nil:
			<-m.stall
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			_, _ = w.Write([]byte(m.sum))
		case strings.Contains(r.URL.Path, "17.5.0") || strings.Contains(r.URL.Path, "15."):
			m.fetched.Add(1)
			_, _ = w.Write(jar.Bytes())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() {
		m.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // The library's.
	})
	return m
}

func TestDownload(t *testing.T) {
	m := newMirror(t, "")
	cache := t.TempDir()
	var told []string
	cfg := PostgresConfig{Mirror: m.URL, CacheDir: cache, Progress: func(line string) { told = append(told, line) }}
	for range 2 {
		b, err := download(t.Context(), cfg, 0)
		if err != nil {
			t.Fatal(err)
		}
		if b.major != 17 || b.version != "17.5" || b.dir != filepath.Join(cache, "postgresql-17.5.0", "bin") {
			t.Errorf("got %+v", b)
		}
	}
	if m.fetched.Load() != 1 || len(told) != 1 || !strings.Contains(told[0], "downloading PostgreSQL 17.5.0") {
		t.Errorf("fetched %d times, told %q", m.fetched.Load(), told)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 {
		t.Errorf("the cache holds %v, %v", left, err)
	}
	if b, err := download(t.Context(), cfg, 15); err != nil || !strings.Contains(b.dir, "postgresql-15.") {
		t.Errorf("asked for 15 it brought %+v, %v", b, err)
	}
	if _, err := download(t.Context(), cfg, 9); err == nil || !strings.Contains(err.Error(), "PostgreSQL 9 can't be downloaded") {
		t.Errorf("asked for 9: %v", err)
	}
}

func TestDownloadFails(t *testing.T) {
	quiet := func(string) {}
	for name, c := range map[string]struct {
		sum   string
		major int
		want  string
	}{
		"not what was promised": {"0000", 17, "checksums do not match"},
		"not there":             {"", 18, "no version found"},
	} {
		m := newMirror(t, c.sum)
		cache := t.TempDir()
		_, err := download(t.Context(), PostgresConfig{Mirror: m.URL, CacheDir: cache, Progress: quiet}, c.major)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(cache); len(left) != 0 {
			t.Errorf("%s: the cache holds %v", name, left)
		}
	}
}

func TestDownloadCanBeGivenUp(t *testing.T) {
	m := newMirror(t, "")
	m.stall = make(chan struct{})
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := download(ctx, PostgresConfig{Mirror: m.URL, CacheDir: cache, Progress: func(string) { cancel() }}, 0)
	if err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
	close(m.stall)
	eventually(t, "the cache to be clean", func() bool {
		left, err := os.ReadDir(cache)
		return err == nil && len(left) == 0
	})
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": "15.18 15",
		"postgres (PostgreSQL) 18beta1\n":                        "18beta1 18",
		"postgres (PostgreSQL) 9.6.24\n":                         "9.6.24 9",
	} {
		version, major, err := parseVersion([]byte(out))
		if got := version + " " + strconv.Itoa(major); got != want || err != nil {
			t.Errorf("%q is %s, %v", out, got, err)
		}
	}
	if _, _, err := parseVersion([]byte("something else")); err == nil {
		t.Error("something else has a version")
	}
}

func TestOldBinariesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, body := range map[string]string{"initdb": "", "postgres": "#!/bin/sh\necho 'postgres (PostgreSQL) 13.22'\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := inspect(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("got %+v, %v", b, err)
	}
}

func TestInstallHintNamesACommand(t *testing.T) {
	t.Parallel()
	if hint := installHint(); !strings.Contains(hint, "nstall") {
		t.Error(hint)
	}
}
