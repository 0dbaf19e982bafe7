package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// mine is the subscription of the path, if it lives and belongs to the caller. The caller holds the world's lock.
func (c *call) mine() (*subscription, error) {
	sub := c.tenant.subs[c.r.PathValue("subscription")]
	if sub == nil || sub.app != c.who.AppID || c.who.person() && sub.creator != c.who.ObjectID || !sub.alive(time.Now()) {
		return nil, refuse(http.StatusNotFound, "ResourceNotFound", "The object was not found.")
	}
	return sub, nil
}

func getSubscription(c *call) (int, any, error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	sub, err := c.mine()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, append(object{{"@odata.context", c.contextURL("subscriptions/$entity")}}, sub.json(false)...), nil
}

// listSubscriptions answers what the application has in the organisation, or with a person's token what is theirs.
func listSubscriptions(c *call) (int, any, error) {
	top, skip, err := paging(url.Values{"$skip": c.r.URL.Query()["$skip"]}, c.pageSize, 100)
	if err != nil {
		return 0, nil, err
	}
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	now := time.Now()
	list := make([]*subscription, 0, len(c.tenant.subs))
	for _, sub := range c.tenant.subs {
		if sub.alive(now) && sub.app == c.who.AppID && (!c.who.person() || sub.creator == c.who.ObjectID) {
			list = append(list, sub)
		}
	}
	slices.SortFunc(list, func(a, b *subscription) int { return strings.Compare(a.id, b.id) })
	values := []object{}
	for _, sub := range list[min(skip, len(list)):min(skip+top, len(list))] {
		values = append(values, sub.json(false))
	}
	body := object{{"@odata.context", c.contextURL("subscriptions")}}
	if skip+top < len(list) {
		body = append(body, member{"@odata.nextLink", c.nextLink(skip + top)})
	}
	return http.StatusOK, append(body, member{"value", values}), nil
}

// updateSubscription renews a subscription or points it elsewhere. The endpoint is tried again.
func updateSubscription(c *call) (int, any, error) {
	b, err := c.subscriptionBody()
	if err != nil {
		return 0, nil, err
	}
	if b.ExpirationDateTime == nil && b.NotificationURL == nil {
		return 0, nil, required("expirationDateTime")
	}
	now := time.Now()
	var expires time.Time
	if b.ExpirationDateTime != nil {
		if expires, err = c.expiry(b.ExpirationDateTime, now); err != nil {
			return 0, nil, err
		}
	}
	target, lifecycle, err := c.endpoints()
	if err != nil {
		return 0, nil, err
	}
	set(&target, b.NotificationURL)
	if err := c.s.handshakes(c.r.Context(), target, lifecycle); err != nil {
		return 0, nil, err
	}
	w := c.s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub, err := c.mine()
	if err != nil {
		return 0, nil, err
	}
	sub.notificationURL = target
	if !expires.IsZero() && !c.s.Behaviour().RenewalsIgnored {
		sub.grant(now, expires)
		c.s.courier.watch(sub)
	}
	c.conflict(sub.reauthority, now)
	sub.renewedAt = now
	c.s.saver.dirty()
	c.s.feed.publish()
	return http.StatusOK, append(object{{"@odata.context", c.contextURL("subscriptions/$entity")}}, sub.json(true)...), nil
}

// conflict counts the one of renewal and reauthorization that comes within ten minutes of the other.
func (c *call) conflict(other, now time.Time) {
	if !other.IsZero() && now.Sub(other) < c.s.cfg.scaled(10*time.Minute) {
		c.s.counts.conflicting.Add(1)
	}
}

func (c *call) endpoints() (notification, lifecycle string, err error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	sub, err := c.mine()
	if err != nil {
		return "", "", err
	}
	return sub.notificationURL, sub.lifecycleURL, sub.box.kind.watchRefusal("Update", sub.box.id)
}

// reauthorizeSubscription keeps a subscription delivering without giving it more life.
func reauthorizeSubscription(c *call) (int, any, error) {
	target, lifecycle, err := c.endpoints()
	if err != nil {
		return 0, nil, err
	}
	if err := c.s.handshakes(c.r.Context(), target, lifecycle); err != nil {
		return 0, nil, err
	}
	w := c.s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub, err := c.mine()
	if err != nil {
		return 0, nil, err
	}
	now := time.Now()
	c.conflict(sub.renewedAt, now)
	sub.reauthority = now
	return http.StatusNoContent, nil, nil
}

func deleteSubscription(c *call) (int, any, error) {
	w := c.s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub, err := c.mine()
	if err != nil {
		return 0, nil, err
	}
	w.forget(sub)
	c.s.saver.dirty()
	c.s.feed.publish()
	return http.StatusNoContent, nil, nil
}

// handshakes asks each endpoint to echo a token; two equal URLs are asked twice, as Graph does.
// https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
func (s *Simulator) handshakes(ctx context.Context, urls ...string) error {
	for _, u := range urls {
		if u == "" {
			continue
		}
		if err := s.handshake(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func (s *Simulator) handshake(ctx context.Context, target string) error {
	failed := func(message string) error { return refuse(http.StatusBadRequest, "InvalidRequest", message) }
	token := "Validation: Testing client application reachability for subscription Request-Id: " + newGUID()
	u, err := url.Parse(target)
	if err != nil {
		return failed("Notification URL is not valid.")
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "validationToken=" + url.QueryEscape(token)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandshakeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), http.NoBody)
	if err != nil {
		return failed("Notification URL is not valid.")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := s.cfg.Transport.RoundTrip(req)
	if err != nil {
		return failed(unreachable(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return failed(fmt.Sprintf("Subscription validation request failed. HTTP status code is '%s'. "+
			"Notification endpoint must respond with 200 OK to validation request.", statusName(resp.StatusCode)))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return failed(unreachable(err))
	}
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "text/plain" {
		return failed("Subscription validation request failed. Response must have content type 'text/plain'.")
	}
	if string(body) != token {
		return failed("Subscription validation request failed. Must respond with the validation token passed in the request query.")
	}
	return nil
}

func unreachable(err error) string {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "Subscription validation request timed out."
	}
	return "The underlying connection was closed: An unexpected error occurred on a send."
}

// statusName is a status the way .NET writes it: Forbidden, NotFound, BadGateway.
func statusName(status int) string {
	name := strings.ReplaceAll(http.StatusText(status), " ", "")
	if name == "" {
		return fmt.Sprint(status)
	}
	return name
}

// decodeStrict reads exactly one JSON value.
func decodeStrict(body []byte, v any) error { return json.Unmarshal(body, v) }
