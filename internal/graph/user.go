package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// User resolves an address to the Entra object id of its owner, lower case. An address need not be the name that its owner
// signs in with, so when nobody has that name the directory's mail addresses are searched too.
func (c *Client) User(ctx context.Context, tenant, email string) (string, error) {
	id, err := c.userByName(ctx, tenant, email)
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Status != http.StatusNotFound {
		return id, err
	}
	id, searchErr := c.userByAddress(ctx, tenant, email)
	switch {
	case searchErr != nil && KindOf(searchErr) == KindThrottled:
		return "", searchErr
	case searchErr != nil || id == "":
		return "", err
	}
	return id, nil
}

type wireUser struct {
	ID string `json:"id"`
}

func (c *Client) userByName(ctx context.Context, tenant, name string) (string, error) {
	var user wireUser
	err := c.do(ctx, call{
		op: opUser, tenant: tenant, lane: serviceLane(tenant, serviceUsers),
		build: func(ctx context.Context) (*http.Request, error) {
			builder := users.NewUserItemRequestBuilderInternal(c.path("user%2Did", name), c.adapter)
			info, err := builder.ToGetRequestInformation(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
				QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: []string{"id"}},
			})
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			if err := json.Unmarshal(body, &user, asGraphWrites()); err != nil {
				return fmt.Errorf("reading a user: %w", err)
			}
			if user.ID == "" {
				return errors.New("reading a user: it has no id")
			}
			return nil
		},
	})
	return strings.ToLower(user.ID), err
}

// userByAddress gives an empty id when nobody, or more than one, has the address.
func (c *Client) userByAddress(ctx context.Context, tenant, email string) (string, error) {
	var found struct {
		Value []wireUser `json:"value"`
	}
	quoted := strings.ReplaceAll(email, "'", "''")
	filter := "mail eq '" + quoted + "' or proxyAddresses/any(p:p eq 'smtp:" + quoted + "')"
	err := c.do(ctx, call{
		op: opUser, tenant: tenant, lane: serviceLane(tenant, serviceUsers),
		build: func(ctx context.Context) (*http.Request, error) {
			builder := users.NewUsersRequestBuilderInternal(c.path(), c.adapter)
			info, err := builder.ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
				QueryParameters: &users.UsersRequestBuilderGetQueryParameters{Filter: &filter, Select: []string{"id"}},
			})
			return c.native(ctx, info, err)
		},
		read: func(body []byte) error {
			if err := json.Unmarshal(body, &found, asGraphWrites()); err != nil {
				return fmt.Errorf("reading a list of users: %w", err)
			}
			return nil
		},
	})
	if err != nil || len(found.Value) != 1 {
		return "", err
	}
	return strings.ToLower(found.Value[0].ID), nil
}
