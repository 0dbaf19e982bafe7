package embedded

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reachable is a folder that an unprivileged user can reach.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func quietConfig(dir string) PostgresConfig {
	return PostgresConfig{Dir: dir, Ephemeral: true, Progress: func(string) {}}
}

func startAndStop(t *testing.T, cfg PostgresConfig) {
	t.Helper()
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// TestAServerLeftBehindIsEnded starts one that nothing ties to this process, as after kill -9 where the kernel can't tell
// the child.
func TestAServerLeftBehindIsEnded(t *testing.T) {
	t.Parallel()
	cfg := quietConfig(reachable(t))
	c, err := prepareCluster(t.Context(), cfg, cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.bin.dir, "postgres"), c.arguments(cfg, port)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.home, io.Discard, io.Discard
	cmd.SysProcAttr = attributes(c.account)
	orphan, err := startChild(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.waitReady(t.Context(), cfg, orphan); err != nil {
		t.Fatal(err)
	}
	startAndStop(t, cfg)
	select {
	case <-orphan.done:
	case <-time.After(10 * time.Second):
		t.Error("it still runs")
	}
}

// TestAStrangersProcessNumberIsNoServer has a process file whose number now belongs to somebody else: us.
func TestAStrangersProcessNumberIsNoServer(t *testing.T) {
	t.Parallel()
	cfg := quietConfig(reachable(t))
	startAndStop(t, cfg)
	pid := filepath.Join(cfg.Dir, "data", "postmaster.pid")
	if err := os.WriteFile(pid, fmt.Appendf(nil, "%d\n%s\n", os.Getpid(), filepath.Join(cfg.Dir, "data")), 0o644); err != nil {
		t.Fatal(err)
	}
	startAndStop(t, cfg)
}

// TestAnInterruptedBeginningIsNoData leaves what a kill in the middle of initdb leaves.
func TestAnInterruptedBeginningIsNoData(t *testing.T) {
	t.Parallel()
	cfg := quietConfig(reachable(t))
	half := filepath.Join(cfg.Dir, "data.new", "base")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	startAndStop(t, cfg)
	if exists(filepath.Dir(half)) {
		t.Error("the half is still there")
	}
}

// TestABeginningThatIsStillBeingWritten has the remains of initdb write on while the next start clears them away: the folder
// can't be removed until they end.
func TestABeginningThatIsStillBeingWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data.new")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	inside, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close() }()
	began, enough := make(chan struct{}), time.After(300*time.Millisecond)
	written := make(chan int)
	go func() {
		n := 0
		for ended := false; !ended; n++ {
			select {
			case <-enough:
				ended = true
			default:
			}
			file, err := inside.Create(fmt.Sprint(n))
			if err != nil {
				break // The folder is gone.
			}
			_ = file.Close()
			if n == 10 {
				close(began)
			}
		}
		written <- n
	}()
	<-began
	if err := removeAll(t.Context(), dir); err != nil {
		t.Errorf("after %d files: %v", <-written, err)
	} else {
		<-written
	}
	if exists(dir) {
		t.Error("it is still there")
	}
}

// TestRootMovesDataThatNobodyCanReach has a parent that is root's alone, as a home folder is.
func TestRootMovesDataThatNobodyCanReach(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root has to hand PostgreSQL to another user")
	}
	private := filepath.Join(reachable(t), "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	var told []string
	cfg := quietConfig(filepath.Join(private, "postgres"))
	cfg.Progress = func(line string) { told = append(told, line) }
	startAndStop(t, cfg)
	moved := movedHome(cfg.Dir)
	t.Cleanup(func() { _ = os.RemoveAll(moved) })
	if filepath.Dir(moved) != filepath.Clean(os.TempDir()) || !exists(filepath.Join(moved, "data", "PG_VERSION")) || exists(filepath.Join(cfg.Dir, "data")) {
		t.Error("the data isn't where it should be")
	}
	if !strings.Contains(strings.Join(told, "\n"), "so the database is kept in "+moved) {
		t.Errorf("told: %q", told)
	}
	before := len(told)
	startAndStop(t, cfg)
	if len(told) != before+1 { // Only that it starts.
		t.Errorf("the second start told %q", told[before:])
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	startAndStop(t, cfg)
	again := movedHome(cfg.Dir)
	t.Cleanup(func() { _ = os.RemoveAll(again) })
	if again == moved {
		t.Error("who began afresh met the old data")
	}
}

func TestALogThatGrewTooLongStartsAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	for _, c := range []struct {
		size int64
		want int64
	}{{logLimit, logLimit}, {logLimit + 1, 0}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, c.size); err != nil {
			t.Fatal(err)
		}
		f, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil || info.Size() != c.want {
			t.Errorf("of %d bytes %d are left, %v", c.size, info.Size(), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
