package graph

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// MailboxSettings are a mailbox owner's settings that matter for finding a time.
// https://learn.microsoft.com/graph/api/resources/mailboxsettings
type MailboxSettings struct {
	// TimeZone is the name as Graph gave it, and Location that zone; nil when nobody knows it.
	TimeZone string
	Location *time.Location
	// WorkingHours is nil where Graph gives none.
	WorkingHours *WorkingHours
}

// MailboxSettings reads the time zone and the working hours of a mailbox's owner.
func (c *Client) MailboxSettings(ctx context.Context, mb Mailbox) (MailboxSettings, error) {
	var w struct {
		TimeZone     string            `json:"timeZone"`
		WorkingHours *wireWorkingHours `json:"workingHours"`
	}
	err := c.do(ctx, call{
		op: opMailboxSettings, tenant: mb.Tenant, lane: mailboxLane(mb),
		build: func(ctx context.Context) (*http.Request, error) {
			builder := users.NewItemMailboxSettingsRequestBuilderInternal(c.path("user%2Did", mb.User), c.adapter)
			info, err := builder.ToGetRequestInformation(ctx, &users.ItemMailboxSettingsRequestBuilderGetRequestConfiguration{
				QueryParameters: &users.ItemMailboxSettingsRequestBuilderGetQueryParameters{Select: []string{"timeZone", "workingHours"}},
			})
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			if err := json.Unmarshal(body, &w, asGraphWrites()); err != nil {
				return fmt.Errorf("reading mailbox settings: %w", err)
			}
			return nil
		},
	})
	if err != nil {
		return MailboxSettings{}, err
	}
	known := c.zones()
	settings := MailboxSettings{TimeZone: w.TimeZone}
	if loc, err := known.location(w.TimeZone); err == nil && w.TimeZone != "" {
		settings.Location = loc
	}
	if w.WorkingHours != nil {
		settings.WorkingHours = w.WorkingHours.hours(known)
	}
	return settings, nil
}

// DirectoryUser is a person of an organisation's directory.
type DirectoryUser struct {
	// ID is the Entra object id, lower case.
	ID string
	// Email is the mail address, or the name that the person signs in with where there is none.
	Email string
}

// Users lists up to limit people of the directory, in no order that means anything.
func (c *Client) Users(ctx context.Context, tenant string, limit int) ([]DirectoryUser, error) {
	var all []DirectoryUser
	top := int32(min(max(limit, 1), 999))
	build := func(ctx context.Context) (*http.Request, error) {
		builder := users.NewUsersRequestBuilderInternal(c.path(), c.adapter)
		info, err := builder.ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.UsersRequestBuilderGetQueryParameters{
				Top: &top, Select: []string{"id", "mail", "userPrincipalName"},
			},
		})
		return c.native(ctx, info, err)
	}
	for range maxPages {
		var page struct {
			Value []struct {
				ID   string `json:"id"`
				Mail string `json:"mail"`
				Name string `json:"userPrincipalName"`
			} `json:"value"`
			NextLink string `json:"@odata.nextLink"`
		}
		err := c.do(ctx, call{
			op: opListUsers, tenant: tenant, lane: serviceLane(tenant, serviceUsers), build: build,
			read: func(body []byte) error {
				if err := json.Unmarshal(body, &page, asGraphWrites()); err != nil {
					return fmt.Errorf("reading a list of users: %w", err)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
		for _, u := range page.Value {
			if len(all) == limit {
				return all, nil
			}
			all = append(all, DirectoryUser{ID: strings.ToLower(u.ID), Email: cmp.Or(u.Mail, u.Name)})
		}
		if page.NextLink == "" || len(all) == limit {
			return all, nil
		}
		build = func(ctx context.Context) (*http.Request, error) { return c.followRequest(ctx, page.NextLink) }
	}
	return all, nil
}
