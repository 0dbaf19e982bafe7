package console

import (
	"context"
	"time"

	"pairsync/internal/graph"
)

// Calendars reads what the connection test and free/busy need of mailboxes. *graph.Client is one.
type Calendars interface {
	// EventByICalUID finds an event; graph.KindNotFound says that the calendar was read and has none such.
	EventByICalUID(ctx context.Context, mb graph.Mailbox, uid string) (graph.Event, error)
	// MailboxSettings shows that there is a mailbox.
	MailboxSettings(ctx context.Context, mb graph.Mailbox) (graph.MailboxSettings, error)
	// Schedules tells when people are busy, each with an error of their own. mb is who asks.
	Schedules(ctx context.Context, mb graph.Mailbox, emails []string, from, to time.Time) ([]graph.Schedule, error)
}

// Directory knows an organisation. *graph.Client is one.
type Directory interface {
	// TokenTenant gets a token for the organisation and gives what the token says: the tenant's id and the permissions.
	TokenTenant(ctx context.Context, tenant string) (tid string, roles []string, err error)
	// User resolves an address to an Entra object id.
	User(ctx context.Context, tenant, email string) (string, error)
	// Users lists some people of the directory.
	Users(ctx context.Context, tenant string, limit int) ([]graph.DirectoryUser, error)
}

// SignIn leads people to Microsoft and back. *graph.Client is one.
type SignIn interface {
	// ConsentURL is where an admin consents for the organisation, and AuthorizeURL where a person signs in.
	ConsentURL(tenant, state, redirect string) string
	AuthorizeURL(req graph.AuthorizeRequest) string
	// ExchangeCode ends a sign-in; graph.KindSignIn says that the code is worth nothing.
	ExchangeCode(ctx context.Context, ex graph.CodeExchange) (graph.SignIn, error)
}

// mailboxOf is how Graph is told whose mailbox is meant: by object id where it is known, else by address.
func mailboxOf(tenant, id, email string) graph.Mailbox {
	if id == "" {
		id = email
	}
	return graph.Mailbox{Tenant: tenant, User: id}
}
