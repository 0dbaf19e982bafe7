package simulator

import (
	"encoding/json"
	"time"
)

// The lifecycle events. https://learn.microsoft.com/graph/change-notifications-lifecycle-events
const (
	lifecycleReauthorize = "reauthorizationRequired"
	lifecycleRemoved     = "subscriptionRemoved"
	lifecycleMissed      = "missed"
)

// changed makes the notifications of one change for every subscription of the mailbox. The caller holds the world's lock.
func (c *courier) changed(it *item, change string, at time.Time) {
	box := it.box
	if len(box.subs) == 0 || !box.kind.notifies() {
		return
	}
	b := c.s.faults.behaviour.Load()
	for _, sub := range box.subs {
		if !sub.alive(at) {
			continue
		}
		if sub.wants(change) {
			c.notify(sub, it, change, b)
		}
		if b.ExtraUpdates > 0 && change != changeDeleted && sub.wants(changeUpdated) {
			for range c.s.faults.upTo(int64(b.ExtraUpdates)) {
				c.notify(sub, it, changeUpdated, b)
			}
		}
	}
}

// notifies says whether changes of a mailbox of the kind still lead to notifications. An access policy shuts the
// application out of reading, but not the subscriptions that it already has.
func (k MailboxKind) notifies() bool { return k == MailboxOK || k == MailboxAccessDenied }

// notify queues one notification, or as many as the behaviour makes of it.
func (c *courier) notify(sub *subscription, it *item, change string, b *Behaviour) {
	body, err := json.Marshal(notification(sub, it, change))
	if err != nil {
		c.s.log.Error("a notification cannot be written", errorAttr(err))
		return
	}
	for range b.Duplicates + 1 {
		d := &delivery{
			Subscription: sub.id, Mailbox: sub.box.id, Event: it.idFor(sub.immutable), Change: change, URL: sub.notificationURL, Body: body,
		}
		delay := b.NotificationDelay.Duration + time.Duration(c.s.faults.upTo(int64(b.NotificationJitter.Duration)))
		c.enqueue(d, delay, c.s.faults.chance(b.DropNotifications))
	}
}

// notification is one item of a change notification collection as Outlook sends it. It has no id of its own, and of a
// deleted event no etag.
// https://learn.microsoft.com/graph/api/resources/changenotification
func notification(sub *subscription, it *item, change string) object {
	id := it.idFor(sub.immutable)
	resource := "Users/" + sub.box.id + "/Events/" + id
	data := object{{"@odata.type", "#Microsoft.Graph.Event"}, {"@odata.id", resource}}
	if change != changeDeleted {
		data = append(data, member{"@odata.etag", it.etag()})
	}
	data = append(data, member{"id", id})
	return object{
		{"subscriptionId", sub.id},
		{"subscriptionExpirationDateTime", sub.expires.UTC().Format(graphTime)},
		{"changeType", change},
		{"resource", resource},
		{"resourceData", data},
		{"clientState", orNull(sub.clientState)},
		{"tenantId", sub.tenant.id},
	}
}

// lifecycle queues a lifecycle event. The caller holds the world's lock. Without a URL for them nothing is sent.
func (c *courier) lifecycle(sub *subscription, event string) bool {
	if sub.lifecycleURL == "" {
		return false
	}
	body, err := json.Marshal(object{
		{"lifecycleEvent", event},
		{"subscriptionId", sub.id},
		{"subscriptionExpirationDateTime", sub.expires.UTC().Format("2006-01-02T15:04:05.0000000+00:00")},
		{"clientState", orNull(sub.clientState)},
		{"tenantId", sub.tenant.id},
	})
	if err != nil {
		c.s.log.Error("a lifecycle event cannot be written", errorAttr(err))
		return false
	}
	c.enqueue(&delivery{Subscription: sub.id, Mailbox: sub.box.id, Change: event, URL: sub.lifecycleURL, Body: body}, 0, false)
	return true
}

// watch makes the courier look at a subscription when its next warning or its expiry is due. The caller holds the world's lock.
func (c *courier) watch(sub *subscription) {
	at := sub.expires
	if sub.warn.Before(at) && sub.warn.After(time.Now()) {
		at = sub.warn
	}
	sub.watched = at
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches.push(at, sub.id)
	c.nudge()
}

// look acts on a subscription whose time has come: it warns that the expiry nears, or ends it.
func (c *courier) look(id string, at time.Time) {
	w := c.s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub := w.subs[id]
	if sub == nil || !sub.watched.Equal(at) {
		return // Gone, or renewed since.
	}
	now := time.Now()
	if !sub.alive(now) {
		w.forget(sub)
		c.s.saver.dirty()
		c.s.feed.publish()
		return
	}
	if !c.s.cfg.QuietExpiry {
		c.lifecycle(sub, lifecycleReauthorize)
	}
	// Graph warns again after half of what is left, and every quarter of an hour at the end.
	sub.warn = now.Add(max(sub.expires.Sub(now)/2, c.s.cfg.scaled(15*time.Minute)))
	c.watch(sub)
}
