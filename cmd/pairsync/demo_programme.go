package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"pairsync/internal/config"
)

// demoClientID is the application that the simulator knows.
const demoClientID = "0d5c3a1e-7a54-4c1b-9a43-2f6f0b7f5d10"

// organisation is one of the demo's two.
type organisation struct {
	tenant string
	name   string
	domain string
	zone   string
	people []person
	pairs  []pair
	// unconsented says that its admin has not let the application in when the demo begins for the first time.
	unconsented bool
}

// person has a mailbox and is a participant. Its id is the first name.
type person struct{ id, name, email string }

// pair is a mentor, who organises, and a mentee.
type pair struct {
	mentor, mentee person
	// byPlatform says that the platform books their session through the API; the others book in Outlook.
	byPlatform bool
}

func (p pair) name() string { return p.mentor.id + "-" + p.mentee.id }

func (p pair) title() string { return "Mentoring: " + p.mentor.name + " and " + p.mentee.name }

// slot is ten o'clock, so many days from now.
func (o organisation) slot(now time.Time, days int) (start, end time.Time, err error) {
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		return start, end, fmt.Errorf("loading a time zone: %w", err)
	}
	day := now.In(zone).AddDate(0, 0, days)
	start = time.Date(day.Year(), day.Month(), day.Day(), 10, 0, 0, 0, zone)
	return start, start.Add(30 * time.Minute), nil
}

// organisations are the demo's own; their ids never change, so that a second start finds everything again.
func organisations() []organisation {
	ada := person{"ada", "Ada Lovelace", "ada@contoso.example"}
	grace := person{"grace", "Grace Hopper", "grace@contoso.example"}
	alan := person{"alan", "Alan Turing", "alan@contoso.example"}
	katherine := person{"katherine", "Katherine Johnson", "katherine@contoso.example"}
	radia := person{"radia", "Radia Perlman", "radia@fabrikam.example"}
	donald := person{"donald", "Donald Knuth", "donald@fabrikam.example"}
	barbara := person{"barbara", "Barbara Liskov", "barbara@fabrikam.example"}
	edsger := person{"edsger", "Edsger Dijkstra", "edsger@fabrikam.example"}
	return []organisation{
		{
			tenant: "6c0f4b1a-2d0e-4a53-8a3f-5b1d1f1c9a01", name: "Contoso", domain: "contoso.example", zone: "Europe/Berlin",
			people: []person{ada, grace, alan, katherine},
			pairs:  []pair{{ada, grace, true}, {alan, katherine, false}},

			unconsented: true,
		},
		{
			tenant: "b7e2d9c4-91f3-4f0e-b6a8-0c7d3e5f2b02", name: "Fabrikam", domain: "fabrikam.example", zone: "America/New_York",
			people: []person{radia, donald, barbara, edsger},
			pairs:  []pair{{radia, donald, false}, {barbara, edsger, false}},
		},
	}
}

// programme is the mentoring platform of the demo: it knows the pairs, books their sessions in Outlook and tells pairsync.
type programme struct {
	api     *apiClient
	outlook *outlook
	state   *demoState
	cast    *cast
	log     *slog.Logger
	// say tells the visitor something.
	say func(format string, args ...any)
}

// tenantPath is an organisation in the API.
func tenantPath(org organisation) string { return "/tenants/" + url.PathEscape(org.tenant) }

// subscribed waits until every mentor's mailbox has a subscription, but not for long: when an earlier demo was killed while it
// made one, that takes some minutes.
func (p *programme) subscribed(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, org := range organisations() {
		for _, pair := range org.pairs {
			path := "/tenants/" + url.PathEscape(org.tenant) + "/participants/" + pair.mentor.id
			err := poll(within, time.Minute, func(ctx context.Context) (bool, error) {
				var have struct {
					Mailbox struct {
						Subscription *struct{} `json:"subscription"`
					} `json:"mailbox"`
				}
				err := p.api.do(ctx, http.MethodGet, path, nil, &have)
				return have.Mailbox.Subscription != nil, err
			})
			if within.Err() != nil && ctx.Err() == nil {
				p.say("· Outlook will tell us of %s's changes in some minutes; until then they are found later", pair.mentor.name)
				continue
			}
			if err != nil {
				return fmt.Errorf("waiting for the subscription of %s: %w", pair.mentor.name, err)
			}
		}
	}
	return nil
}

// poll asks again and again until the answer is yes, an error, or time is up.
func poll(ctx context.Context, patience time.Duration, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		yes, err := ask(ctx)
		if err != nil || yes {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// demoSettings turns the configuration into the demo's: the simulator instead of Microsoft, and secrets of its own.
func demoSettings(cfg config.Config, state *demoState) (config.Config, error) {
	graphURL, err := url.Parse(state.GraphURL)
	if err != nil {
		return cfg, fmt.Errorf("making the simulator's URL: %w", err)
	}
	authorityURL, err := url.Parse(state.AuthorityURL)
	if err != nil {
		return cfg, fmt.Errorf("making the simulator's URL: %w", err)
	}
	publicURL, err := url.Parse(state.WebhookURL)
	if err != nil {
		return cfg, fmt.Errorf("making the webhook's URL: %w", err)
	}
	keys, err := config.ParseKeys(state.SecretKeys)
	if err != nil {
		return cfg, fmt.Errorf("reading the demo's secret key from %s: %w", state.path, err)
	}
	cfg.GraphURL, cfg.AuthorityURL, cfg.PublicURL, cfg.ConsoleURL = graphURL, authorityURL, publicURL, nil
	cfg.ClientID, cfg.ClientSecret = state.ClientID, config.NewSecret(state.ClientSecret)
	cfg.ClientCertificateFile, cfg.FederatedTokenFile = "", ""
	cfg.SecretKeys = keys
	cfg.CallbackAllowPrivate = true // Whoever tries callbacks in a demo does so on this machine.
	cfg.APITokens = append(cfg.APITokens, config.APIToken{Name: "demo", Token: config.NewSecret(state.Token)})
	return cfg, nil
}
