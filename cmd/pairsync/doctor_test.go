package main

import (
	"net/http"
	"strings"
	"testing"

	"pairsync/internal/embedded"
	"pairsync/internal/simulator"
)

// TestDoctor tells a site that works from one that has nothing behind its public URL.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, want := range []struct {
		serving bool
		lines   []string
		failed  bool
	}{
		{false, []string{"ok    configuration: ", "FAIL  database: the schema is behind", "→ run pairsync migrate", "ok    NATS: ", "ok    Microsoft Graph: ", "FAIL  public URL, notifications: ", "FAIL  public URL, lifecycle: "}, true},
		{true, []string{"ok    database: local, and in use", "ok    NATS: in process, and in use", "ok    public URL, notifications: echoes", "ok    public URL, lifecycle: echoes"}, false},
	} {
		if want.serving {
			start(t, s.env, "serve")
			s.ready(t)
		}
		d := start(t, s.env, "doctor")
		<-d.done
		for _, line := range want.lines {
			if !strings.Contains(d.output(), line) {
				t.Errorf("serving %t: no line with %q in\n%s", want.serving, line, d.output())
			}
		}
		if failed := d.err != nil; failed != want.failed {
			t.Errorf("serving %t: ended with %v", want.serving, d.err)
		}
		if strings.Contains(d.output(), "the-clients-secret") || strings.Contains(d.output(), "swordfish") {
			t.Error("the doctor tells secrets")
		}
	}
}

// TestDoctorSignsInToEveryOrganisation has one organisation that lets us in and one that does not.
func TestDoctorSignsInToEveryOrganisation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Dir: dataDir(t), Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := database.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s.env["PAIRSYNC_DATABASE_URL"] = database.URL()
	start(t, s.env, "serve")
	s.ready(t)
	for _, org := range organisations() {
		body := map[string]string{"name": org.name, "owner_email": "it@" + org.domain, "method": "domain_wide"}
		if err := s.api.do(t.Context(), http.MethodPut, "/tenants/"+org.tenant, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.outlook.sim.SetConsent(organisations()[1].tenant, simulator.ConsentMissing); err != nil {
		t.Fatal(err)
	}
	d := start(t, s.env, "doctor")
	<-d.done
	for _, want := range []string{
		"ok    database: reachable, schema up to date, 2 organisations",
		"ok    sign-in to " + organisations()[0].tenant + ": got a token",
		"FAIL  sign-in to " + organisations()[1].tenant + ": ",
		"→ an admin of this organisation has to consent to the application",
	} {
		if !strings.Contains(d.output(), want) {
			t.Errorf("no line with %q in\n%s", want, d.output())
		}
	}
	if d.err == nil {
		t.Error("ended with status 0")
	}
}
