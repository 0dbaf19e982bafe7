package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// subscription is one app's wish to hear of the changes of one mailbox's events. The world's lock guards it.
type subscription struct {
	id, app, creator       string
	tenant                 *tenant
	box                    *mailbox
	resource               string
	changes                []string
	notificationURL        string
	lifecycleURL           string
	clientState            string
	tls                    string
	immutable              bool
	expires, granted       time.Time
	renewedAt, reauthority time.Time
	// warn is when the next reauthorizationRequired is due.
	warn time.Time
	// watched is when the courier looks at it next.
	watched time.Time
}

// wants says whether the subscription is for that kind of change.
func (sub *subscription) wants(change string) bool { return slices.Contains(sub.changes, change) }

func (sub *subscription) alive(now time.Time) bool { return now.Before(sub.expires) }

// grant sets a new expiry and, a quarter of that life before it, the first warning.
func (sub *subscription) grant(now, expires time.Time) {
	sub.granted, sub.expires = now, expires
	sub.warn = expires.Add(-expires.Sub(now) / 4)
}

// json is the subscription as Graph shows it; its client state comes only to the one who sets it.
// https://learn.microsoft.com/graph/api/resources/subscription
func (sub *subscription) json(withState bool) object {
	state := any(nil)
	if withState {
		state = orNull(sub.clientState)
	}
	return object{
		{"id", sub.id},
		{"resource", sub.resource},
		{"applicationId", sub.app},
		{"changeType", strings.Join(sub.changes, ",")},
		{"clientState", state},
		{"notificationUrl", sub.notificationURL},
		{"notificationQueryOptions", nil},
		{"lifecycleNotificationUrl", orNull(sub.lifecycleURL)},
		{"expirationDateTime", sub.expires.UTC().Format(graphTime)},
		{"creatorId", sub.creator},
		{"includeResourceData", nil},
		{"latestSupportedTlsVersion", sub.tls},
		{"encryptionCertificate", nil},
		{"encryptionCertificateId", nil},
		{"notificationUrlAppId", nil},
	}
}

// subscriptionBody is what create and renew take. A property that is none of a subscription's is refused.
type subscriptionBody struct {
	ChangeType                *string `json:"changeType"`
	NotificationURL           *string `json:"notificationUrl"`
	LifecycleNotificationURL  *string `json:"lifecycleNotificationUrl"`
	Resource                  *string `json:"resource"`
	ExpirationDateTime        *string `json:"expirationDateTime"`
	ClientState               *string `json:"clientState"`
	LatestSupportedTLSVersion *string `json:"latestSupportedTlsVersion"`
	IncludeResourceData       *bool   `json:"includeResourceData"`
}

func (c *call) subscriptionBody() (*subscriptionBody, error) {
	misspelt := refuse(http.StatusBadRequest, "InvalidRequest",
		"Could not process subscription creation payload. Are all property names spelled and camelCased properly?")
	var raw map[string]any
	body, err := readBody(c.r)
	if err != nil {
		return nil, err
	}
	if decodeStrict(body, &raw) != nil || raw == nil {
		return nil, misspelt
	}
	known := []string{
		"changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState",
		"latestSupportedTlsVersion", "includeResourceData", "encryptionCertificate", "encryptionCertificateId",
		"notificationQueryOptions", "notificationUrlAppId", "id", "applicationId", "creatorId", "notificationContentType",
	}
	for name := range raw {
		if !strings.HasPrefix(name, "@odata.") && !slices.Contains(known, name) {
			return nil, misspelt
		}
	}
	b := &subscriptionBody{}
	if decodeStrict(body, b) != nil {
		return nil, misspelt
	}
	return b, nil
}

func required(name string) *graphError {
	return refuse(http.StatusBadRequest, "InvalidRequest", name+" is a required property for this operation.")
}

func extension(status int, format string, args ...any) *graphError {
	return refuse(status, "ExtensionError", fmt.Sprintf(format, args...))
}

// expiry checks a wished expiry against floor and ceiling and returns what is granted.
func (c *call) expiry(text *string, now time.Time) (time.Time, error) {
	if text == nil {
		return time.Time{}, required("expirationDateTime")
	}
	// Only Zulu time is understood; anything else comes back as if it were missing.
	t, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil || !strings.HasSuffix(*text, "Z") {
		return time.Time{}, required("expirationDateTime")
	}
	cfg := c.s.cfg
	if t.After(now.Add(cfg.MaxLifetime)) {
		return time.Time{}, extension(http.StatusBadRequest, "Subscription expiration can only be %d minutes in the future.",
			int(cfg.MaxLifetime/time.Minute))
	}
	if cfg.MinLifetime > 0 && t.Before(now.Add(cfg.MinLifetime)) {
		t = now.Add(cfg.MinLifetime)
	}
	if cfg.GrantLifetime > 0 && t.After(now.Add(cfg.GrantLifetime)) {
		t = now.Add(cfg.GrantLifetime)
	}
	if !t.After(now) {
		return time.Time{}, refuse(http.StatusBadRequest, "InvalidRequest", "Subscription expiration must be in the future.")
	}
	return t.UTC().Truncate(100 * time.Nanosecond), nil
}

// subscribed finds the mailbox of a resource such as users/{id}/events or me/events.
func (c *call) subscribed(resource string) (*mailbox, error) {
	path, query, _ := strings.Cut(strings.Trim(resource, "/"), "?")
	if query != "" {
		return nil, extension(http.StatusBadRequest, "Operation: Create; Exception: [Status Code: BadRequest; Reason: "+
			"Query options are not supported in subscription resource Url.]")
	}
	parts := strings.Split(path, "/")
	var ref string
	switch {
	case len(parts) == 2 && strings.EqualFold(parts[0], "me") && strings.EqualFold(parts[1], "events") && c.who.person():
		ref = c.who.ObjectID
	case len(parts) == 3 && strings.EqualFold(parts[0], "users") && strings.EqualFold(parts[2], "events"):
		ref = parts[1]
	default:
		return nil, extension(http.StatusBadRequest, "'Resource' is invalid.")
	}
	w := c.s.world
	w.mu.RLock()
	defer w.mu.RUnlock()
	box, err := w.person(ref)
	kind := MailboxDeleted
	if err == nil && box.tenant == c.tenant {
		kind = box.kind
	}
	if kind == MailboxOK && c.who.person() && c.who.ObjectID != box.id {
		kind = MailboxAccessDenied
	}
	if e := kind.watchRefusal("Create", ref); e != nil {
		return nil, e
	}
	return box, nil
}

func (c *call) newSubscription(b *subscriptionBody) (*subscription, error) {
	for _, p := range []struct {
		name  string
		value *string
	}{
		{"changeType", b.ChangeType}, {"notificationUrl", b.NotificationURL}, {"resource", b.Resource}, {"expirationDateTime", b.ExpirationDateTime},
	} {
		if p.value == nil || *p.value == "" {
			return nil, required(p.name)
		}
	}
	now := time.Now()
	expires, err := c.expiry(b.ExpirationDateTime, now)
	if err != nil {
		return nil, err
	}
	sub := &subscription{
		id: newGUID(), app: c.who.AppID, creator: c.who.ObjectID, tenant: c.tenant, resource: *b.Resource,
		notificationURL: *b.NotificationURL, immutable: c.immutable, tls: "v1_2",
	}
	sub.grant(now, expires)
	for change := range strings.SplitSeq(*b.ChangeType, ",") {
		change = strings.ToLower(strings.TrimSpace(change))
		if !slices.Contains([]string{changeCreated, changeUpdated, changeDeleted}, change) {
			return nil, refuse(http.StatusBadRequest, "InvalidRequest", "Invalid changeType value '"+change+"'.")
		}
		sub.changes = append(sub.changes, change)
	}
	set(&sub.lifecycleURL, b.LifecycleNotificationURL)
	set(&sub.clientState, b.ClientState)
	set(&sub.tls, b.LatestSupportedTLSVersion)
	if len(sub.clientState) > 128 {
		return nil, refuse(http.StatusBadRequest, "InvalidRequest", "The clientState property exceeds the maximum length of 128 characters.")
	}
	if b.IncludeResourceData != nil && *b.IncludeResourceData {
		return nil, refuse(http.StatusBadRequest, "InvalidRequest", "Notifications with resource data are not offered by this simulator.")
	}
	for _, u := range []string{sub.notificationURL, sub.lifecycleURL} {
		if p, err := url.Parse(u); u != "" && (err != nil || p.Host == "" || p.Scheme != "https" && p.Scheme != "http") {
			return nil, refuse(http.StatusBadRequest, "InvalidRequest", "Notification URL is not valid.")
		}
	}
	sub.box, err = c.subscribed(*b.Resource)
	return sub, err
}

// createSubscription tries the endpoint first, as Graph does: notifications may arrive before the caller has this answer.
func createSubscription(c *call) (int, any, error) {
	b, err := c.subscriptionBody()
	if err != nil {
		return 0, nil, err
	}
	sub, err := c.newSubscription(b)
	if err != nil {
		return 0, nil, err
	}
	if err := c.s.handshakes(c.r.Context(), sub.notificationURL, sub.lifecycleURL); err != nil {
		return 0, nil, err
	}
	if err := c.s.addSubscription(sub); err != nil {
		return 0, nil, err
	}
	c.header.Set("Location", c.s.base(c.r)+"/v1.0/subscriptions/"+sub.id)
	return http.StatusCreated, append(object{{"@odata.context", c.contextURL("subscriptions/$entity")}}, sub.json(true)...), nil
}

// maxSubscriptions is how many subscriptions one mailbox takes, over all applications.
const maxSubscriptions = 1000

func (s *Simulator) addSubscription(sub *subscription) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	alive := 0
	for _, have := range sub.box.subs {
		if !have.alive(now) {
			continue
		}
		alive++
		same := have.app == sub.app && strings.EqualFold(have.resource, sub.resource) && slices.Equal(have.changes, sub.changes)
		if same && s.Behaviour().RefuseDuplicateSubscriptions {
			return refuse(http.StatusConflict, "InvalidRequest",
				"Subscription Id "+have.id+" already exists for the requested combination")
		}
	}
	if alive >= maxSubscriptions {
		return refuse(http.StatusForbidden, "ExtensionError", fmt.Sprintf(
			"The mailbox has reached its maximum limit of %d subscriptions.", maxSubscriptions))
	}
	w.index(sub)
	s.courier.watch(sub)
	s.saver.dirty()
	s.feed.publish()
	return nil
}

func (w *world) index(sub *subscription) {
	w.subs[sub.id] = sub
	if sub.tenant.subs == nil {
		sub.tenant.subs = map[string]*subscription{}
	}
	sub.tenant.subs[sub.id] = sub
	sub.box.subs[sub.id] = sub
}

func (w *world) forget(sub *subscription) {
	delete(w.subs, sub.id)
	delete(sub.tenant.subs, sub.id)
	delete(sub.box.subs, sub.id)
}

// aliveLocked counts the subscriptions that have not expired. The caller holds the world's lock.
func (s *Simulator) aliveLocked() int {
	n, now := 0, time.Now()
	for _, sub := range s.world.subs {
		if sub.alive(now) {
			n++
		}
	}
	return n
}
