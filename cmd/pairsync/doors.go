package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"pairsync/internal/config"
	"pairsync/webhook"
)

// doors are the listening servers of a process. The addresses are taken before anything else starts. A door of a role that
// does not run here is nil.
type doors struct {
	webhook *httpServer
	console *httpServer
	ops     *httpServer
}

func openDoors(ctx context.Context, cfg config.Config, chosen roles, log *slog.Logger) (doors, error) {
	var d doors
	var err error
	if chosen.have(roleWebhook) {
		if d.webhook, err = listen(ctx, "webhook", "PAIRSYNC_WEBHOOK_ADDR", cfg.WebhookAddr, webhook.NewServer(cfg.WebhookAddr, nil, log), log); err != nil {
			return doors{}, err
		}
	}
	if chosen.have(roleConsole) {
		if d.console, err = listen(ctx, "console", "PAIRSYNC_CONSOLE_ADDR", cfg.ConsoleAddr, consoleServer(), log); err != nil {
			d.close()
			return doors{}, err
		}
	}
	if d.ops, err = listen(ctx, "ops", "PAIRSYNC_OPS_ADDR", cfg.OpsAddr, opsServer(), log); err != nil {
		d.close()
		return doors{}, err
	}
	return d, nil
}

// close gives all addresses back.
func (d doors) close() {
	for _, s := range []*httpServer{d.webhook, d.console, d.ops} {
		if s != nil {
			s.close()
		}
	}
}

// consoleServer leaves the deadlines of bodies and answers to the console itself, because a stream lives as long as its
// client does.
func consoleServer() *http.Server {
	return &http.Server{ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

// opsServer leaves time for a profile.
func opsServer() *http.Server {
	return &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute}
}
