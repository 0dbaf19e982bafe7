package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// connect makes sure that pairsync knows everybody and is let in everywhere, and tries the calendars.
func (p *programme) connect(ctx context.Context) error {
	for _, org := range organisations() {
		if err := p.api.do(ctx, http.MethodPut, tenantPath(org), map[string]string{
			"name": org.name, "owner_email": "it@" + org.domain, "method": "domain_wide",
		}, nil); err != nil {
			return fmt.Errorf("telling pairsync of an organisation: %w", err)
		}
		for _, who := range org.people {
			body := map[string]string{"email": who.email, "name": who.name}
			if err := p.api.do(ctx, http.MethodPut, tenantPath(org)+"/participants/"+who.id, body, nil); err != nil {
				return fmt.Errorf("telling pairsync of a participant: %w", err)
			}
		}
		if err := p.letIn(ctx, org); err != nil {
			return err
		}
		if err := p.try(ctx, org); err != nil {
			return err
		}
	}
	return nil
}

// letIn waits until an organisation is connected. Where nobody has consented yet, it goes the way of an admin's browser: the
// consent page, the answer there, and back to our own door.
func (p *programme) letIn(ctx context.Context, org organisation) error {
	how := "its admin had consented already"
	if p.outlook.asksConsent(org) {
		link, err := p.consentLink(ctx, org)
		if err != nil {
			return err
		}
		if err := p.consent(ctx, link); err != nil {
			return fmt.Errorf("consenting for %s: %w", org.name, err)
		}
		how = "its admin opened the consent link and accepted"
	}
	err := poll(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		var have struct {
			Status string `json:"status"`
		}
		err := p.api.do(ctx, http.MethodGet, tenantPath(org), nil, &have)
		return have.Status == "connected", err
	})
	if err != nil {
		return fmt.Errorf("waiting for %s to be connected: %w", org.name, err)
	}
	p.say("· %s is connected: %s", org.name, how)
	return nil
}

// consentLink asks pairsync for a link at which an admin lets it in.
func (p *programme) consentLink(ctx context.Context, org organisation) (string, error) {
	var link struct {
		URL string `json:"url"`
	}
	if err := p.api.do(ctx, http.MethodPost, tenantPath(org)+"/consent", nil, &link); err != nil {
		return "", fmt.Errorf("asking for a consent link: %w", err)
	}
	return link.URL, nil
}

// consent opens the link as a browser does, accepts, and follows to where it leads.
func (p *programme) consent(ctx context.Context, link string) error {
	page, err := url.Parse(link)
	if err != nil {
		return fmt.Errorf("reading the link: %w", err)
	}
	query := page.Query()
	query.Set("answer", "consent")
	page.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	res, err := p.api.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // What there is of it will do.
		return fmt.Errorf("the page answers %d: %s", res.StatusCode, oneLine(string(text)))
	}
	return nil
}

// apiTest is what came of a connection test, as far as it is told.
type apiTest struct {
	Accessible   int `json:"accessible"`
	Inaccessible int `json:"inaccessible"`
	Results      []struct {
		Participant string `json:"participant"`
		OK          bool   `json:"ok"`
		Reason      string `json:"reason"`
	} `json:"results"`
	Door struct {
		OK     bool   `json:"ok"`
		Reason string `json:"reason"`
	} `json:"door"`
	Warnings []struct {
		Kind string `json:"kind"`
	} `json:"warnings"`
}

// try runs the connection test and tells what came of it.
func (p *programme) try(ctx context.Context, org organisation) error {
	var result apiTest
	if err := p.api.do(ctx, http.MethodPost, tenantPath(org)+"/test", nil, &result); err != nil {
		return fmt.Errorf("testing the connection of %s: %w", org.name, err)
	}
	p.say("· connection test of %s: %s", org.name, result.line())
	return nil
}

// line tells the result in one line.
func (t apiTest) line() string {
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "%d of %d calendars can be used", t.Accessible, t.Accessible+t.Inaccessible)
	for _, r := range t.Results {
		if !r.OK {
			_, _ = fmt.Fprintf(&text, "; %s: %s", r.Participant, r.Reason)
		}
	}
	if t.Door.OK {
		text.WriteString("; notifications reach us")
	} else {
		_, _ = fmt.Fprintf(&text, "; notifications don't reach us: %s", t.Door.Reason)
	}
	for _, w := range t.Warnings {
		text.WriteString("; warning: " + w.Kind)
	}
	return text.String()
}
