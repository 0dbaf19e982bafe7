package model_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pairsync/model"
)

// TestNobodyWaitsInACircle lets everything that writes run at the same time on the same few sessions: it ends, and PostgreSQL
// had to break no deadlock.
func TestNobodyWaitsInACircle(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.resolved(t)
	b.exec(t, "UPDATE participants SET mailbox_id = 'mailbox-1' WHERE id = 'p-2'")
	const sessions = 10
	for i := range sessions {
		l := linkOf(fmt.Sprintf("s%d", i))
		l.Organizer, l.Attendees = fmt.Sprintf("p-%d", 1+i%2), []string{"p-3"}
		b.link(t, l)
	}
	ctx, cancel := withTimeout(t, time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for name, write := range b.writers(sessions) {
		wg.Go(func() {
			for n := range 40 {
				if err := write(ctx, n); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := b.number(t, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
	for i := range sessions {
		id := fmt.Sprintf("s%d", i)
		history, err := b.SessionChanges(ctx, "t", id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if s := b.session(t, id); int(s.Version) != len(history) {
			t.Errorf("%s has version %d and %d changes", id, s.Version, len(history))
		}
	}
}

// writers are all ways to write, by name.
func (b *bed) writers(sessions int) map[string]func(ctx context.Context, n int) error {
	commit := func(step int) func(ctx context.Context, n int) error {
		return func(ctx context.Context, n int) error {
			var batch []model.Reading
			for k := range sessions {
				i := (k*step + n) % sessions
				s := model.Session{Tenant: "t", ID: fmt.Sprintf("s%d", i), EventID: fmt.Sprintf("AAk-s%d", i)}
				s.StartsAt, s.EndsAt = tomorrow(n%9), tomorrow(n%9+1)
				o := eventOf(s, n*10+step)
				o.Cancelled = n%7 == 0
				batch = append(batch, reading(s, o))
			}
			outcomes, err := b.Commit(ctx, batch)
			for _, o := range outcomes {
				err = errors.Join(err, o.Err)
			}
			return err
		}
	}
	return map[string]func(ctx context.Context, n int) error{
		"commit": commit(1), "commit in another order": commit(7), "commit in the reverse order": commit(sessions - 1),
		"fail": func(ctx context.Context, n int) error {
			_, err := b.MailboxFailed(ctx, "t", fmt.Sprintf("p-%d", 1+n%2), model.MailboxUnreachable, "access_denied", time.Second, time.Minute)
			return err
		},
		"heal": func(ctx context.Context, n int) error {
			_, err := b.MailboxHealed(ctx, "t", fmt.Sprintf("p-%d", 1+n%2))
			return err
		},
		"sweep a mailbox": func(ctx context.Context, _ int) error {
			_, err := b.SweepMailbox(ctx, "t", "mailbox-1", model.CauseLifecycle)
			return err
		},
		"claim and postpone": func(ctx context.Context, _ int) error {
			due, err := b.ClaimDue(ctx, 4, time.Second)
			var keys []model.SessionKey
			for _, d := range due {
				keys = append(keys, model.SessionKey{Tenant: "t", ID: d.Session.ID})
			}
			return errors.Join(err, b.PostponeVerify(ctx, keys, time.Now()))
		},
		"renew": func(ctx context.Context, n int) error {
			due, err := b.SubscriptionsDue(ctx, 4, time.Second)
			for _, s := range due {
				if n%3 == 0 {
					err = errors.Join(err, b.DeleteSubscription(ctx, s.Tenant, s.Participant))
					continue
				}
				s.State, s.GraphID, s.DueAt = model.SubscriptionActive, "g", time.Now()
				err = errors.Join(err, b.SaveSubscription(ctx, s))
			}
			return err
		},
		"link": func(ctx context.Context, n int) error {
			l := linkOf(fmt.Sprintf("new%d", n))
			l.Organizer, l.Attendees = "p-1", []string{"p-2"}
			_, _, err := b.PutSession(ctx, l)
			return err
		},
		"put other times": func(ctx context.Context, n int) error {
			i := n % sessions
			l := linkOf(fmt.Sprintf("s%d", i))
			l.Organizer, l.Attendees = fmt.Sprintf("p-%d", 1+i%2), []string{"p-3"}
			l.StartsAt, l.EndsAt = tomorrow(n%11), tomorrow(n%11+2)
			_, _, err := b.PutSession(ctx, l)
			if errors.Is(err, model.ErrCancelled) {
				return nil
			}
			return err
		},
		"carry out": func(ctx context.Context, n int) error {
			commands, err := b.ClaimCommands(ctx, 4, time.Millisecond)
			for _, c := range commands {
				w, open, err := b.ClaimRequest(ctx, c.Tenant, c.Session, time.Second)
				if errors.Is(err, model.ErrClaimed) || err == nil && !open {
					continue
				}
				if err != nil {
					return err
				}
				if n%3 == 0 {
					err = b.ReleaseRequest(ctx, w, time.Now())
				} else {
					o := eventOf(w.Session, n*20)
					o.EventID = "AAk-" + c.Session
					r := reading(w.Session, o)
					r.Applied = &model.Applied{Version: c.Version}
					_, err = b.Commit(ctx, []model.Reading{r})
				}
				if err != nil {
					return err
				}
			}
			return err
		},
		"answer": func(ctx context.Context, n int) error {
			pending, err := b.Pending(ctx, "t", model.PendingOpen, 0, 3)
			for i, p := range pending {
				answer := b.ApplyPending
				if (i+n)%2 == 0 {
					answer = b.UndoPending
				}
				if _, err := answer(ctx, "t", p.ID, time.Time{}); err != nil && !errors.Is(err, model.ErrSettled) {
					return err
				}
			}
			return err
		},
		"put the tenant": func(ctx context.Context, n int) error {
			choices := []model.PolicyChoice{model.PolicyApply, model.PolicyAsk, model.PolicyNotify}
			_, _, err := b.PutTenant(ctx, model.Tenant{
				ID: "t", Name: "Contoso", OwnerEmail: "it@contoso.example", Method: model.MethodDomainWide,
				CallbackURL: fmt.Sprintf("https://platform.example/%d", n%2),
				Policy:      model.Policy{Reschedule: choices[n%3], Cancel: choices[n/3%3]},
			})
			return err
		},
		"call": func(ctx context.Context, n int) error {
			deliveries, err := b.ClaimCallbacks(ctx, 5, 5, time.Second, nil)
			for i, d := range deliveries {
				if (i+n)%2 == 0 {
					err = errors.Join(err, b.CallbackDone(ctx, d.Change.Cursor))
				} else {
					err = errors.Join(err, b.CallbackFailed(ctx, "t", d.Change.Cursor, time.Now(), "status_500"))
				}
			}
			if _, paused := b.CallbackPaused(ctx, "t", "status_500", time.Now()); n%5 == 0 {
				err = errors.Join(err, paused)
			}
			return err
		},
		"write letters": func(ctx context.Context, _ int) error {
			letters, err := b.ClaimMail(ctx, 5, 0, time.Second)
			for _, m := range letters {
				ok, sending := b.MailSending(ctx, m.ID)
				err = errors.Join(err, sending)
				if ok {
					err = errors.Join(err, b.MailSent(ctx, m.ID))
				}
			}
			return err
		},
		"put a participant": func(ctx context.Context, n int) error {
			_, _, err := b.PutParticipant(ctx, model.Participant{Tenant: "t", ID: "p-1", Email: fmt.Sprintf("ada%d@contoso.example", n%2)})
			return err
		},
		"lifecycle": func(ctx context.Context, _ int) error {
			return b.LifecycleReceived(ctx, "t", "mailbox-1", "g", model.LifecycleMissed)
		},
	}
}
