package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// demoState is what a demo remembers in DATA_DIR/demo.json, and what scripts can read there. It holds the demo's secrets, so
// only its owner may read it.
type demoState struct {
	// OutlookURL is the simulator's page, APIURL the platform API with its version, OpsURL the metrics and health server.
	OutlookURL string `json:"outlook_url"`
	APIURL     string `json:"api_url"`
	OpsURL     string `json:"ops_url"`
	WebhookURL string `json:"webhook_url"`
	// Token is a bearer token of the platform API for all organisations.
	Token string `json:"token"`
	// The application as it is registered in the simulator, and what serve would need to use it.
	GraphURL     string `json:"graph_url"`
	AuthorityURL string `json:"authority_url"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	SecretKeys   string `json:"secret_keys"`
	// Sessions are those that the demo booked, the latest of each pair last.
	Sessions []demoSession `json:"sessions"`
	// Pid is the process that wrote this.
	Pid int `json:"pid"`

	path string
}

// demoSession is a session that the demo booked.
type demoSession struct {
	Tenant    string    `json:"tenant"`
	ID        string    `json:"id"`
	Pair      string    `json:"pair"`
	Organizer string    `json:"organizer"`
	Attendee  string    `json:"attendee"`
	EventID   string    `json:"event_id"`
	StartsAt  time.Time `json:"starts_at"`
	EndsAt    time.Time `json:"ends_at"`
}

// loadDemoState reads the file of an earlier demo, or makes new secrets.
func loadDemoState(dataDir string) (*demoState, error) {
	// Others may enter, because PostgreSQL's files belong to another user when this one is root; every file has its own mode.
	if err := os.MkdirAll(dataDir, 0o755); err != nil { //nolint:gosec // See above.
		return nil, fmt.Errorf("making PAIRSYNC_DATA_DIR: %w", err)
	}
	d := &demoState{path: filepath.Join(dataDir, "demo.json")}
	content, err := os.ReadFile(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key := make([]byte, 32)
		_, _ = rand.Read(key) // Never fails, as its documentation promises.
		d.SecretKeys = base64.StdEncoding.EncodeToString(key)
		d.Token = "demo-" + rand.Text()
		d.ClientID = demoClientID
		d.ClientSecret = rand.Text()
		return d, nil
	case err != nil:
		return nil, fmt.Errorf("reading the state of an earlier demo: %w", err)
	}
	if err := json.Unmarshal(content, d); err != nil {
		return nil, fmt.Errorf("reading %s, which an earlier demo left; remove it to begin anew: %w", d.path, err)
	}
	return d, nil
}

// save writes the file so that a reader sees the old one or the new one.
func (d *demoState) save() error {
	d.Pid = os.Getpid()
	content, err := json.MarshalIndent(d, "", "  ") //nolint:gosec // The demo's own secrets, for the demo's owner.
	if err != nil {
		return fmt.Errorf("encoding the state of the demo: %w", err)
	}
	draft := d.path + ".new"
	if err := os.WriteFile(draft, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the state of the demo: %w", err)
	}
	if err := os.Rename(draft, d.path); err != nil {
		return fmt.Errorf("writing the state of the demo: %w", err)
	}
	return nil
}

// latest returns the session that was booked last for a pair.
func (d *demoState) latest(pair string) (demoSession, bool) {
	for _, s := range slices.Backward(d.Sessions) {
		if s.Pair == pair {
			return s, true
		}
	}
	return demoSession{}, false
}

// count returns how many sessions were ever booked for a pair.
func (d *demoState) count(pair string) int {
	n := 0
	for _, s := range d.Sessions {
		if s.Pair == pair {
			n++
		}
	}
	return n
}
