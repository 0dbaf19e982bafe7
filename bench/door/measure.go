package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"pairsync/internal/queue"
)

// figures are what one measurement gave.
type figures struct {
	items              int
	span               time.Duration
	p50, p99           time.Duration
	doorCPU, brokerCPU time.Duration
	resident           int64 // bytes, at its highest
}

func (f figures) rate() float64 { return float64(f.items) / f.span.Seconds() }

func (f figures) perItem(cpu time.Duration) float64 {
	return float64(cpu.Microseconds()) / float64(max(f.items, 1))
}

// buildServer builds the broker that go.mod names.
func buildServer(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "nats-server")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building nats-server: %w: %s", err, out)
	}
	return path, nil
}

// measure runs one program in one cell, on a fresh broker.
func measure(ctx context.Context, o options, dir, program string, c cell) (f figures, err error) {
	files, err := os.MkdirTemp(dir, "broker")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(files)) }()
	broker, url, err := startBroker(ctx, o, files, c.always)
	if err != nil {
		return f, err
	}
	defer stop(broker)
	if err := declare(ctx, url); err != nil {
		return f, err
	}
	door, addr, err := startDoor(ctx, program, url)
	if err != nil {
		return f, err
	}
	defer stop(door)

	load, err := newLoad(o.connections, c.items, addr)
	if err != nil {
		return f, err
	}
	defer load.close()
	if _, err := load.run(ctx, o.warm); err != nil {
		return f, err
	}
	doorBefore, brokerBefore := cpu(door), cpu(broker)
	if f, err = load.run(ctx, o.span); err != nil {
		return f, err
	}
	f.doorCPU, f.brokerCPU = cpu(door)-doorBefore, cpu(broker)-brokerBefore
	f.resident = resident(door)
	return f, nil
}

func startBroker(ctx context.Context, o options, dir string, always bool) (*exec.Cmd, string, error) {
	settings := fmt.Sprintf("listen: 127.0.0.1:-1\nports_file_dir: %q\njetstream { store_dir: %q", dir, filepath.Join(dir, "store"))
	if always {
		settings += ", sync_interval: always"
	}
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(settings+" }\n"), 0o600); err != nil {
		return nil, "", err
	}
	broker := exec.CommandContext(ctx, o.server, "-c", file)
	if err := broker.Start(); err != nil {
		return nil, "", err
	}
	ports := filepath.Join(dir, fmt.Sprintf("%s_%d.ports", filepath.Base(o.server), broker.Process.Pid))
	url, err := until(ctx, func() (string, bool) {
		data, err := os.ReadFile(ports)
		_, rest, found := bytes.Cut(data, []byte(`"nats://`))
		if err != nil || !found {
			return "", false
		}
		host, _, _ := bytes.Cut(rest, []byte(`"`))
		return "nats://" + string(host), true
	})
	if err != nil {
		stop(broker)
		return nil, "", fmt.Errorf("waiting for nats-server: %w", err)
	}
	return broker, url, nil
}

// declare makes the streams, as pairsync makes them.
func declare(ctx context.Context, url string) error {
	nc, err := until(ctx, func() (*nats.Conn, bool) {
		nc, err := nats.Connect(url)
		return nc, err == nil
	})
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = queue.Open(ctx, nc, queue.Config{NotificationBytes: 8 << 30})
	return err
}

// startDoor starts this program again as one of the doors, and returns its address.
func startDoor(ctx context.Context, program, url string) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	door := exec.CommandContext(ctx, self, "-serve", program, "-nats", url)
	door.Stderr = os.Stderr
	out, err := door.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := door.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop(door)
		return nil, "", fmt.Errorf("waiting for the door: %w", err)
	}
	return door, strings.TrimSpace(line), nil
}

// until asks again and again, for half a minute at most.
func until[T any](ctx context.Context, ask func() (T, bool)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if v, ok := ask(); ok {
			return v, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}

func stop(c *exec.Cmd) {
	_ = c.Process.Kill() // it may have ended
	_ = c.Wait()         // killed
}

// cpu is the processor time that the process has used, user and system, from /proc/<pid>/stat; zero where there is none.
func cpu(c *exec.Cmd) time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold spaces; utime and stime are the 12th and 13th fields after it, in ticks of 10 ms.
	_, rest, _ := bytes.Cut(data, []byte(") "))
	fields := bytes.Fields(rest)
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident is the most memory that the process had in use at a time, in bytes; zero where it can't be known.
func resident(c *exec.Cmd) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(data, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
