package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pairsync/model"
)

// wireCommand is a command on its way.
type wireCommand struct {
	Tenant  string `json:"tenant"`
	Session string `json:"session"`
	Version int64  `json:"version"`
}

var errNoSession = errors.New("no tenant or session is named")

func decodeCommand(data []byte) (model.Command, error) {
	var w wireCommand
	if err := json.Unmarshal(data, &w); err != nil {
		return model.Command{}, fmt.Errorf("reading a command: %w", err)
	}
	if w.Tenant == "" || w.Session == "" {
		return model.Command{}, errNoSession
	}
	return model.Command(w), nil
}

func commandKey(c *model.Command) string { return c.Tenant + "\x00" + c.Session }

// commandSubject is where the commands about a session go.
func commandSubject(tenant, session string) string {
	return prefixCommands + token(tenant) + "." + token(session)
}

// PublishCommand makes a command durable in PAIRSYNC_COMMANDS. at is when it was claimed: a command that is published again
// later, because what came of the first is not known or because its time has come, has to arrive again, and the same one twice
// has not.
func (b *Broker) PublishCommand(ctx context.Context, c model.Command, at time.Time) error {
	body, err := json.Marshal(wireCommand(c))
	if err != nil {
		return fmt.Errorf("publishing a command: %w", err)
	}
	m := nats.NewMsg(commandSubject(c.Tenant, c.Session))
	m.Data = body
	m.Header[headerContentType] = []string{"application/json"}
	m.Header[nats.MsgIdHdr] = []string{
		token(c.Tenant) + "/" + token(c.Session) + "/" + strconv.FormatInt(c.Version, 10) + "/" + strconv.FormatInt(at.UnixMilli(), 36),
	}
	inject(ctx, m.Header)
	if _, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamCommands)); err != nil {
		return fmt.Errorf("publishing a command: %w", err)
	}
	return nil
}

// CommandGroup is all commands about one session that waited at the same time, oldest first.
type CommandGroup struct {
	Commands []model.Command
	// Attempt and Failures are as in Group.
	Attempt  int
	Failures int
}

// CommandHandler works on one group, and says what is to become of it as Handler does.
type CommandHandler func(ctx context.Context, g CommandGroup) error

// CommandConsumer hands the commands of PAIRSYNC_COMMANDS to a handler: those of one session one after the other.
type CommandConsumer struct{ *consumer[model.Command] }

// NewCommandConsumer returns a CommandConsumer. Any number of them, in any number of processes, share the stream; only within a
// process are two groups of one session kept apart.
func (b *Broker) NewCommandConsumer(cfg ConsumerConfig) *CommandConsumer {
	return &CommandConsumer{newConsumer(b, cfg, route[model.Command]{
		stream: StreamCommands, consumer: ConsumerApply, decode: decodeCommand, key: commandKey, span: "handle commands",
	})}
}

// Run hands out groups until ctx ends, as Consumer.Run does.
func (c *CommandConsumer) Run(ctx context.Context, handle CommandHandler) error {
	return c.run(ctx, func(ctx context.Context, g group[model.Command]) error {
		return handle(ctx, CommandGroup{Commands: g.items, Attempt: g.attempt, Failures: g.failures})
	})
}
