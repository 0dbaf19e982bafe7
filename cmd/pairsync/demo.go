package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pairsync/console"
	"pairsync/internal/config"
	"pairsync/internal/simulator"
	"pairsync/model"
	"pairsync/ops"
	"pairsync/webhook"
)

func demoCommand() command {
	return command{
		name:    "demo",
		args:    "[flags]",
		summary: "runs everything on this machine, with a simulated Outlook and two organisations",
		help: "Nothing has to be configured: NATS runs in this process, PostgreSQL is found on this machine or fetched, and\n" +
			"Outlook is simulated. People change their meetings for a while; then it is your turn, on Outlook's page.\n" +
			"Everything is kept in PAIRSYNC_DATA_DIR and found again by the next demo; scripts find the URLs and the\n" +
			"token in its file demo.json. Ctrl-C ends it and leaves nothing running.",
		run: runDemo,
	}
}

// demo is one running demo.
type demo struct {
	inv      *invocation
	cfg      config.Config
	state    *demoState
	parts    *parts
	service  *service
	api      *apiClient
	outlook  *outlook
	cast     *cast
	play     bool
	pause    time.Duration
	previous string // The webhook's URL of the demo before.
}

func runDemo(ctx context.Context, cmd command, inv *invocation) error {
	d := &demo{inv: inv, pause: 2 * time.Second}
	var still bool
	if err := inv.noArguments(cmd, func(flags *flag.FlagSet) {
		flags.BoolVar(&still, "no-play", false, "nobody changes anything by themselves")
		flags.DurationVar(&d.pause, "pause", d.pause, "a duration such as 500ms: the time between two changes that people make")
	}); err != nil {
		return err
	}
	if d.pause < 0 {
		return misused("--pause takes a duration such as 500ms")
	}
	d.play = !still
	var err error
	if d.cfg, err = config.Load(); err != nil {
		return err
	}
	if d.state, err = loadDemoState(d.cfg.DataDir); err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(d.cfg.DataDir, "pairsync.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the demo's log: %w", err)
	}
	defer func() { _ = logFile.Close() }() // Nothing can be done about it, and the log is the demo's alone.
	log := ops.NewLogger(logFile, d.cfg.LogLevel, d.cfg.LogFormat)
	d.parts = newParts(log)

	err = d.run(ctx, log)
	if ctx.Err() != nil {
		err = nil // Ctrl-C is how a demo ends, whatever it was doing.
		inv.say("\nstopping")
	}
	if stopErr := d.stop(ctx); stopErr != nil {
		return errors.Join(err, stopErr)
	}
	if err == nil {
		inv.say("stopped; the data is in %s, and the next demo finds it again", d.cfg.DataDir)
	}
	return err
}

// stop ends the service before the simulator, so that nothing of it talks to an Outlook that is gone.
func (d *demo) stop(ctx context.Context) error {
	var err error
	if d.service != nil {
		err = d.service.stop(ctx)
	}
	if d.api != nil {
		d.api.close()
	}
	return errors.Join(err, d.parts.stop(ctx, shortGrace))
}

// run starts everything, shows it, and waits until ctx ends or something fails.
func (d *demo) run(ctx context.Context, log *slog.Logger) error {
	d.inv.say("pairsync %s: starting everything on this machine; Ctrl-C ends it", d.inv.build.Version)
	server, err := d.listen(ctx, "simulator", simulatorAddr, &http.Server{ReadHeaderTimeout: 5 * time.Second}, log)
	if err != nil {
		return err
	}
	// A server closes its address itself; this is for one that was never started.
	d.parts.onStop("simulator's address", shortGrace, func(context.Context) error { server.close(); return nil })
	d.state.OutlookURL, d.state.AuthorityURL, d.state.GraphURL = server.url()+"/", server.url(), server.url()+"/v1.0"
	// The service first: it finds out whether another demo has the data. Its first calls wait until the simulator answers.
	if err := d.startService(ctx, log); err != nil {
		return err
	}
	if err := d.startOutlook(ctx, server, log); err != nil {
		return err
	}
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	d.followDoor(ctx)
	if err := d.openProgramme(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.service.parts.failed:
		return err
	case err := <-d.parts.failed:
		return err
	}
}

// startOutlook starts the simulator with what an earlier demo left in it.
func (d *demo) startOutlook(ctx context.Context, server *httpServer, log *slog.Logger) error {
	d.inv.say("· starting the Outlook simulator")
	app := demoApp(d.state.ClientSecret)
	for _, path := range []string{console.ConsentCallbackPath, console.ConnectCallbackPath} {
		app.RedirectURIs = append(app.RedirectURIs, d.state.WebhookURL+path)
	}
	sim, err := simulator.New(simulator.Config{
		Apps:      []simulator.App{app},
		StateFile: filepath.Join(d.cfg.DataDir, "outlook.json"),
		Log:       log.With(slog.String("part", "simulator")),
	})
	if err != nil {
		return err
	}
	d.outlook = &outlook{sim}
	if err := d.outlook.populate(true); err != nil {
		return err
	}
	startSimulator(ctx, d.parts, sim, server)
	return nil
}

// startService starts all roles, on the contract's ports where they are free.
func (d *demo) startService(ctx context.Context, log *slog.Logger) error {
	var open doors
	var err error
	if open.webhook, err = d.listen(ctx, "webhook", d.cfg.WebhookAddr, webhook.NewServer("", nil, log), log); err != nil {
		return err
	}
	if open.console, err = d.listen(ctx, "console", d.cfg.ConsoleAddr, consoleServer(), log); err != nil {
		open.close()
		return err
	}
	if open.ops, err = d.listen(ctx, "ops", d.cfg.OpsAddr, opsServer(), log); err != nil {
		open.close()
		return err
	}
	d.previous, d.state.WebhookURL = d.state.WebhookURL, open.webhook.url()
	d.state.APIURL, d.state.OpsURL = open.console.url()+"/v1", open.ops.url()
	cfg, err := demoSettings(d.cfg, d.state)
	if err != nil {
		open.close()
		return err
	}
	s, err := newService(cfg, allRoles(), d.inv.build, log, open)
	if err != nil {
		open.close()
		return err
	}
	s.progress = func(line string) { d.inv.say("· %s", line) }
	d.service = s
	return s.start(ctx)
}

// listen opens a loopback address, and a free port when that one is taken. An address without a host is every address of
// this machine, on which a demo with its well-known doings has no business.
func (d *demo) listen(ctx context.Context, name, addr string, server *http.Server, log *slog.Logger) (*httpServer, error) {
	if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}
	s, err := listen(ctx, name, "the address", addr, server, log)
	if errors.Is(err, syscall.EADDRINUSE) {
		if s, err = listen(ctx, name, "the address", "127.0.0.1:0", server, log); err == nil {
			d.inv.say("· %s is taken, so the %s server is on %s", addr, name, s.addr())
		}
	}
	return s, err
}

// awaitReady waits until every role works, and says what it is waiting for.
func (d *demo) awaitReady(ctx context.Context) error {
	d.inv.say("· waiting until all roles are ready")
	err := poll(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		select {
		case err := <-d.service.parts.failed:
			return false, err
		default:
			return len(d.service.ready.Check(ctx)) == 0, nil
		}
	})
	if errors.Is(err, context.DeadlineExceeded) {
		for _, missing := range d.service.ready.Check(ctx) {
			err = fmt.Errorf("%s %s", missing.Name, missing.Reason)
		}
	}
	return err
}

// followDoor has subscriptions made anew that lead to the door of an earlier demo which had another port.
func (d *demo) followDoor(ctx context.Context) {
	store, err := d.service.store.get()
	if err != nil {
		return // The service is ending; whoever waits for it tells why.
	}
	for _, sub := range d.outlook.moved(d.state.WebhookURL) {
		err := store.LifecycleReceived(ctx, sub.Tenant, sub.Mailbox, sub.ID, model.LifecycleSubscriptionRemoved)
		if err != nil {
			d.inv.say("· the subscription of an earlier demo is renewed later than it could be: %s", err)
		}
	}
}

// openProgramme books the sessions, waits for the subscriptions, shows where everything is and lets people act.
func (d *demo) openProgramme(ctx context.Context) error {
	d.api = newAPIClient(d.state.APIURL, d.state.Token)
	d.cast = newCast(time.Local)
	p := &programme{api: d.api, outlook: d.outlook, state: d.state, cast: d.cast, log: d.service.log, say: d.inv.say}

	opened := make(chan struct{}, 1)
	d.service.parts.start(ctx, "stream of changes", shortGrace, func(ctx context.Context) error {
		return d.api.stream(ctx, func() {
			select {
			case opened <- struct{}{}:
			default:
			}
		}, func(change apiChange) { d.inv.say("%s", d.cast.line(change)) })
	})
	select {
	case <-opened:
	case <-ctx.Done():
		return nil
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	d.inv.say("· booking the sessions of the pairs, where they are not booked already")
	if err := p.book(ctx, time.Now()); err != nil {
		return err
	}
	d.inv.say("· waiting until Outlook would tell us of changes")
	if err := p.subscribed(ctx); err != nil {
		return err
	}
	link, err := p.consentLink(ctx, organisations()[0])
	if err != nil {
		return err
	}
	d.showURLs(link)
	if !d.play {
		return nil
	}
	if err := p.play(ctx, d.pause); err != nil || ctx.Err() != nil {
		return err
	}
	if pausing(ctx, d.pause) {
		d.inv.say("\nYour turn: open %s, act as somebody, and watch this window.\n", d.state.OutlookURL)
	}
	return nil
}

// showURLs prints where everything is. The link is one at which an admin consents.
func (d *demo) showURLs(link string) {
	d.inv.say(`
  Outlook       %s   act as somebody there: move, answer, cancel
  API           %s   token %s
  metrics       %s/metrics
  log           %s

  curl -H 'Authorization: Bearer %s' %s/tenants/%s/sessions

  To let pairsync into %s yourself, as its admin, open within 15 minutes
  %s
`, d.state.OutlookURL, d.state.APIURL, d.state.Token, d.state.OpsURL, filepath.Join(d.cfg.DataDir, "pairsync.log"),
		d.state.Token, d.state.APIURL, organisations()[0].tenant,
		organisations()[0].name, link)
}
