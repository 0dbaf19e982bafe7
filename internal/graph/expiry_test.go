package graph

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCredentialExpiry(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, nil)
	path := filepath.Join(t.TempDir(), "app.pem")
	writeCertificate(t, path)
	c := s.client(t, func(cfg *Config) { cfg.ClientSecret, cfg.ClientCertificateFile = "", path })
	at, known, err := c.CredentialExpiry()
	if err != nil || !known || time.Until(at) > time.Hour || time.Until(at) < 50*time.Minute {
		t.Errorf("it ends at %v, %t, %v", at, known, err)
	}
	// It is the file as it is now.
	if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, known, err := c.CredentialExpiry(); err == nil || known {
		t.Errorf("read %t, %v", known, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.CredentialExpiry(); err == nil {
		t.Error("read a file that is not there")
	}

	for name, change := range map[string]func(*Config){
		"a secret":          func(*Config) {},
		"a federated token": func(cfg *Config) { cfg.ClientSecret, cfg.FederatedTokenFile = "", path },
	} {
		if at, known, err := s.client(t, change).CredentialExpiry(); err != nil || known {
			t.Errorf("%s ends at %v, %v", name, at, err)
		}
	}
}
