package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"pairsync/internal/config"
	"pairsync/internal/queue"
	"pairsync/ops"
)

func deadLettersCommand() command {
	return command{
		name:    "deadletters",
		args:    "list|replay|discard [--all] [number...]",
		summary: "lists what could not be processed, sends it through again, or throws it away",
		help: "list shows the number, time, attempts, reason and error of each. replay and discard take those numbers, or\n" +
			"--all. The NATS is PAIRSYNC_NATS_URL, or the one under PAIRSYNC_DATA_DIR while no pairsync runs on it.",
		run: runDeadLetters,
	}
}

// deadLetterOrder is what the command line asks for.
type deadLetterOrder struct {
	action  string
	all     bool
	json    bool
	numbers []uint64
}

func readDeadLetterOrder(cmd command, inv *invocation) (deadLetterOrder, error) {
	var order deadLetterOrder
	if len(inv.args) > 0 && inv.args[0] != "" && inv.args[0][0] != '-' {
		order.action, inv.args = inv.args[0], inv.args[1:]
	}
	rest, err := inv.parse(cmd, func(flags *flag.FlagSet) {
		flags.BoolVar(&order.all, "all", false, "replay or discard all of them")
		flags.BoolVar(&order.json, "json", false, "list them as JSON, one a line")
	})
	if err != nil {
		return order, err
	}
	for _, word := range rest {
		number, err := strconv.ParseUint(word, 10, 64)
		if err != nil || number == 0 {
			return order, misused("%q is not the number of a dead letter; pairsync deadletters list shows them", word)
		}
		order.numbers = append(order.numbers, number)
	}
	switch {
	case order.action == "list" && (order.all || len(order.numbers) > 0):
		return order, misused("list takes neither --all nor numbers")
	case order.action == "list":
	case order.action != "replay" && order.action != "discard":
		return order, misused("takes list, replay or discard")
	case order.json:
		return order, misused("--json is for list")
	case order.all == (len(order.numbers) > 0):
		return order, misused("%s takes either --all or the numbers of dead letters", order.action)
	}
	return order, nil
}

func runDeadLetters(ctx context.Context, cmd command, inv *invocation) error {
	order, err := readDeadLetterOrder(cmd, inv)
	if err != nil {
		return err
	}
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	return withBroker(ctx, cfg, inv, func(broker *queue.Broker) error {
		switch order.action {
		case "list":
			return listDeadLetters(ctx, broker, order, inv)
		case "replay":
			return settleDeadLetters(ctx, order, inv, "replayed", broker.Replay, broker.ReplayAll)
		default:
			return settleDeadLetters(ctx, order, inv, "discarded", broker.Discard, broker.DiscardAll)
		}
	})
}

// withBroker calls use with the broker, starting the embedded NATS for as long as that takes when no other is named.
func withBroker(ctx context.Context, cfg config.Config, inv *invocation, use func(*queue.Broker) error) error {
	log := ops.NewLogger(inv.stderr, cfg.LogLevel, cfg.LogFormat)
	connection := queue.ConnConfig{URL: cfg.NATSURL.Reveal(), CredsFile: cfg.NATSCreds, Name: "pairsync command", Log: log}
	if cfg.NATSURL.Empty() {
		server, err := startEmbeddedNATS(ctx, cfg, log)
		if err != nil {
			return err
		}
		connection.InProcess = server.InProcess()
		return errors.Join(useBroker(ctx, cfg, connection, use), server.Stop())
	}
	return useBroker(ctx, cfg, connection, use)
}

func useBroker(ctx context.Context, cfg config.Config, connection queue.ConnConfig, use func(*queue.Broker) error) error {
	nc, err := queue.Connect(ctx, connection)
	if err != nil {
		return err
	}
	defer nc.Close()
	broker, err := queue.Open(ctx, nc, queue.Config{Replicas: cfg.NATSReplicas})
	if err != nil {
		return err
	}
	return use(broker)
}

// deadLetterPage is how many are asked for at a time.
const deadLetterPage = 100

func listDeadLetters(ctx context.Context, broker *queue.Broker, order deadLetterOrder, inv *invocation) error {
	table := tabwriter.NewWriter(inv.stdout, 2, 0, 2, ' ', 0)
	lines := json.NewEncoder(inv.stdout)
	count := 0
	for after := uint64(0); ; {
		page, err := broker.DeadLetters(ctx, after, deadLetterPage)
		if err != nil {
			return err
		}
		for _, letter := range page {
			after = letter.Sequence
			if order.json {
				if err := lines.Encode(asJSON(letter)); err != nil {
					return fmt.Errorf("writing: %w", err)
				}
				continue
			}
			if count == 0 {
				_, _ = fmt.Fprintln(table, "NUMBER\tDIED AT\tATTEMPTS\tREASON\tSUBJECT\tERROR")
			}
			count++
			_, _ = fmt.Fprintf(table, "%d\t%s\t%d\t%s\t%s\t%s\n", letter.Sequence, letter.DiedAt.Format(time.RFC3339), letter.Attempts,
				letter.Reason, letter.Subject, letter.Error)
		}
		if len(page) < deadLetterPage {
			break
		}
	}
	if count == 0 && !order.json {
		inv.say("there are no dead letters")
	}
	return table.Flush()
}

// deadLetterJSON is a dead letter for scripts.
type deadLetterJSON struct {
	Number          uint64    `json:"number"`
	Origin          string    `json:"origin"`
	Subject         string    `json:"subject"`
	Reason          string    `json:"reason"`
	Error           string    `json:"error"`
	Attempts        int       `json:"attempts"`
	FirstReceivedAt time.Time `json:"first_received_at"`
	DiedAt          time.Time `json:"died_at"`
	Data            string    `json:"data"`
}

func asJSON(d queue.DeadLetter) deadLetterJSON {
	return deadLetterJSON{d.Sequence, d.Origin, d.Subject, d.Reason, d.Error, d.Attempts, d.FirstReceivedAt, d.DiedAt, string(d.Data)}
}

// settleDeadLetters does one thing to the dead letters that the order names.
func settleDeadLetters(
	ctx context.Context, order deadLetterOrder, inv *invocation, done string,
	one func(context.Context, uint64) error, all func(context.Context) (int, error),
) error {
	if order.all {
		n, err := all(ctx)
		inv.say("%s %d dead letters", done, n)
		return err
	}
	for _, number := range order.numbers {
		if err := one(ctx, number); err != nil {
			return err
		}
		inv.say("%s %d", done, number)
	}
	return nil
}
