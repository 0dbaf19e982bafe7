package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The headers of a dead letter.
const (
	headerReason         = "Pairsync-Reason"
	headerError          = "Pairsync-Error"
	headerAttempts       = "Pairsync-Attempts"
	headerOrigin         = "Pairsync-Origin"
	headerOriginSubject  = "Pairsync-Origin-Subject"
	headerOriginSequence = "Pairsync-Origin-Sequence"
)

// longestError is how much of an error's text a dead letter carries, in bytes.
const longestError = 1000

// ErrNoDeadLetter is returned when there is no dead letter of the given sequence.
var ErrNoDeadLetter = errors.New("no such dead letter")

// DeadLetter is a message that failed for good.
type DeadLetter struct {
	// Sequence names it in Replay and Discard.
	Sequence uint64
	// Origin is the stream that it came from, and Subject its subject there.
	Origin  string
	Subject string
	// Reason is a word of a closed set; Error is the last error's text.
	Reason string
	Error  string
	// Attempts is how often it was handed to a handler.
	Attempts int
	// FirstReceivedAt is when it first entered a stream, DiedAt when it was given up.
	FirstReceivedAt time.Time
	DiedAt          time.Time
	Data            []byte
}

// bury puts the message among the dead letters.
func (c *consumer[T]) bury(ctx context.Context, d *delivery[T], why decision, attempts int) error {
	m := nats.NewMsg(prefixDeadLetters + origin(c.route.stream))
	m.Data = d.msg.Data
	copyTrace(m.Header, d.msg.Header)
	sequence := strconv.FormatUint(d.position.sequence, 10)
	for name, value := range map[string]string{
		headerReason:         why.reason,
		headerError:          headerText(why.err),
		headerAttempts:       strconv.Itoa(max(attempts, d.failures+1)),
		headerOrigin:         c.route.stream,
		headerOriginSubject:  d.msg.Subject,
		headerOriginSequence: sequence,
		headerFirstReceived:  firstReceived(d).Format(time.RFC3339Nano),
		nats.MsgIdHdr:        c.route.stream + "-" + sequence, // Buried once, also when the acknowledgement after it gets lost.
	} {
		m.Header[name] = []string{value}
	}
	if _, err := c.b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamDeadLetters)); err != nil {
		return fmt.Errorf("burying a message: %w", err)
	}
	return nil
}

// origin is the last token of a dead letter's subject: the stream's name as its own subjects spell it.
func origin(stream string) string {
	return strings.ToLower(strings.TrimPrefix(stream, "PAIRSYNC_"))
}

// headerText makes an error fit into a header: one line, not too long.
func headerText(err error) string {
	if err == nil {
		return ""
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > longestError {
		text = strings.ToValidUTF8(text[:longestError], "") + "…"
	}
	return text
}

// DeadLetters lists up to limit dead letters with a sequence above after, oldest first.
func (b *Broker) DeadLetters(ctx context.Context, after uint64, limit int) ([]DeadLetter, error) {
	s, err := b.js.Stream(ctx, StreamDeadLetters)
	if err != nil {
		return nil, fmt.Errorf("listing dead letters: %w", err)
	}
	list := []DeadLetter{}
	for len(list) < limit {
		m, err := s.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(prefixDeadLetters+">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing dead letters: %w", err)
		}
		list = append(list, deadLetter(m))
		after = m.Sequence
	}
	return list, nil
}

func deadLetter(m *jetstream.RawStreamMsg) DeadLetter {
	attempts, err := strconv.Atoi(first(m.Header, headerAttempts))
	if err != nil {
		attempts = 0
	}
	return DeadLetter{
		Sequence: m.Sequence, Origin: first(m.Header, headerOrigin), Subject: first(m.Header, headerOriginSubject),
		Reason: first(m.Header, headerReason), Error: first(m.Header, headerError), Attempts: attempts,
		FirstReceivedAt: headerTime(m.Header, headerFirstReceived), DiedAt: m.Time.UTC(), Data: m.Data,
	}
}

// DeadLetterCount is how many dead letters there are.
func (b *Broker) DeadLetterCount(ctx context.Context) (int, error) {
	s, err := b.js.Stream(ctx, StreamDeadLetters)
	if err != nil {
		return 0, fmt.Errorf("counting dead letters: %w", err)
	}
	return int(s.CachedInfo().State.Msgs), nil //nolint:gosec // Bounded by the stream's size.
}

// Replay puts the dead letter back where it came from, as if it had never been tried, and takes it from the dead letters.
func (b *Broker) Replay(ctx context.Context, sequence uint64) error {
	s, err := b.js.Stream(ctx, StreamDeadLetters)
	if err != nil {
		return fmt.Errorf("replaying a dead letter: %w", err)
	}
	m, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%w: %d", ErrNoDeadLetter, sequence)
	}
	if err != nil {
		return fmt.Errorf("replaying a dead letter: %w", err)
	}
	again := nats.NewMsg(first(m.Header, headerOriginSubject))
	again.Data = m.Data
	copyTrace(again.Header, m.Header)
	again.Header[headerFirstReceived] = []string{first(m.Header, headerFirstReceived)}
	// Replayed once, also when it could not be taken from the dead letters afterwards.
	again.Header[nats.MsgIdHdr] = []string{fmt.Sprintf("replay-%d-%d", sequence, m.Time.UnixNano())}
	if _, err := b.js.PublishMsg(ctx, again, jetstream.WithExpectStream(first(m.Header, headerOrigin))); err != nil {
		return fmt.Errorf("replaying a dead letter: %w", err)
	}
	return b.discard(ctx, s, sequence)
}

// Discard removes the dead letter for good.
func (b *Broker) Discard(ctx context.Context, sequence uint64) error {
	s, err := b.js.Stream(ctx, StreamDeadLetters)
	if err != nil {
		return fmt.Errorf("discarding a dead letter: %w", err)
	}
	return b.discard(ctx, s, sequence)
}

func (b *Broker) discard(ctx context.Context, s jetstream.Stream, sequence uint64) error {
	err := s.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return fmt.Errorf("%w: %d", ErrNoDeadLetter, sequence)
	}
	if err != nil {
		return fmt.Errorf("discarding a dead letter: %w", err)
	}
	return nil
}

// ReplayAll replays every dead letter that stood there when it began, and returns how many. It stops at the first error.
func (b *Broker) ReplayAll(ctx context.Context) (int, error) { return b.eachDeadLetter(ctx, b.Replay) }

// DiscardAll discards every dead letter that stood there when it began, and returns how many. It stops at the first error.
func (b *Broker) DiscardAll(ctx context.Context) (int, error) {
	return b.eachDeadLetter(ctx, b.Discard)
}

func (b *Broker) eachDeadLetter(ctx context.Context, do func(context.Context, uint64) error) (int, error) {
	s, err := b.js.Stream(ctx, StreamDeadLetters)
	if err != nil {
		return 0, fmt.Errorf("listing dead letters: %w", err)
	}
	last := s.CachedInfo().State.LastSeq // What dies again while we replay waits for the next time.
	done := 0
	for after := uint64(0); ; {
		page, err := b.DeadLetters(ctx, after, 100)
		if err != nil {
			return done, err
		}
		for _, d := range page {
			if d.Sequence > last {
				return done, nil
			}
			after = d.Sequence
			switch err := do(ctx, d.Sequence); {
			case errors.Is(err, ErrNoDeadLetter): // Somebody else was faster.
			case err != nil:
				return done, err
			default:
				done++
			}
		}
		if len(page) == 0 {
			return done, nil
		}
	}
}
