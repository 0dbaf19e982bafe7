package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// workingHours are a person's, as mailboxSettings and getSchedule show them.
type workingHours struct {
	DaysOfWeek []string `json:"daysOfWeek"`
	StartTime  string   `json:"startTime"`
	EndTime    string   `json:"endTime"`
	// Zone is a name that Graph knows; empty takes the mailbox's.
	Zone string `json:"zone"`
}

func defaultWorkingHours() workingHours {
	return workingHours{
		DaysOfWeek: []string{"monday", "tuesday", "wednesday", "thursday", "friday"},
		StartTime:  "08:00:00.0000000", EndTime: "17:00:00.0000000",
	}
}

func (h workingHours) json(box *mailbox) any {
	name := h.Zone
	if name == "" {
		name = box.zone
	}
	return map[string]any{
		"daysOfWeek": h.DaysOfWeek, "startTime": h.StartTime, "endTime": h.EndTime, "timeZone": map[string]any{"name": name},
	}
}

// userFields are the properties of a user that are served, in order; those up to userDefaults without $select.
func userFields(box *mailbox) object {
	given, family, _ := strings.Cut(box.name, " ")
	nick, _, _ := strings.Cut(box.email, "@")
	return object{
		{"businessPhones", []string{}},
		{"displayName", box.name},
		{"givenName", given},
		{"jobTitle", nil},
		{"mail", box.email},
		{"mobilePhone", nil},
		{"officeLocation", nil},
		{"preferredLanguage", nil},
		{"surname", family},
		{"userPrincipalName", box.email},
		{"id", box.id},
		{"accountEnabled", true},
		{"mailNickname", nick},
		{"userType", "Member"},
	}
}

const userDefaults = 11

// getUser answers a person of the directory, whatever became of their mailbox.
func getUser(c *call) (int, any, error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	body, err := c.user(c.box)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, append(object{{"@odata.context", c.contextURL("users/$entity")}}, body...), nil
}

func (c *call) user(box *mailbox) (object, error) {
	all := userFields(box)
	sel := c.r.URL.Query().Get("$select")
	if sel == "" {
		return all[:userDefaults], nil
	}
	var out object
	for name := range strings.SplitSeq(sel, ",") {
		i := slices.IndexFunc(all, func(m member) bool { return strings.EqualFold(m.name, strings.TrimSpace(name)) })
		if i < 0 {
			return nil, noProperty(strings.TrimSpace(name), "microsoft.graph.user")
		}
		out = append(out, all[i])
	}
	return out, nil
}

// listUsers answers the people of the organisation; of $filter it knows mail and userPrincipalName eq '…', joined by or.
func listUsers(c *call) (int, any, error) {
	q := c.r.URL.Query()
	top, skip, err := paging(q, c.pageSize, 100)
	if err != nil {
		return 0, nil, err
	}
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	boxes, err := c.filterUsers(q.Get("$filter"))
	if err != nil {
		return 0, nil, err
	}
	values := []object{}
	for _, box := range boxes[min(skip, len(boxes)):min(skip+top, len(boxes))] {
		u, err := c.user(box)
		if err != nil {
			return 0, nil, err
		}
		values = append(values, u)
	}
	body := object{{"@odata.context", c.contextURL("users")}}
	if skip+top < len(boxes) {
		body = append(body, member{"@odata.nextLink", c.nextLink(skip + top)})
	}
	return http.StatusOK, append(body, member{"value", values}), nil
}

func (c *call) filterUsers(filter string) ([]*mailbox, error) {
	w := c.s.world
	alive := func(b *mailbox) bool { return b.tenant == c.tenant && b.kind != MailboxDeleted }
	var boxes []*mailbox
	if filter == "" {
		for _, b := range c.tenant.boxes {
			if alive(b) {
				boxes = append(boxes, b)
			}
		}
		return boxes, nil
	}
	for clause := range strings.SplitSeq(filter, " or ") {
		field, value, err := equality(clause)
		if err != nil || field != "mail" && field != "userPrincipalName" {
			return nil, badRequest("Unsupported or invalid query filter clause specified for property of resource 'User'.")
		}
		if b := w.emails[strings.ToLower(value)]; b != nil && alive(b) && !slices.Contains(boxes, b) {
			boxes = append(boxes, b)
		}
	}
	return boxes, nil
}

// equality reads "property eq 'value'", in which a quote is written twice.
func equality(clause string) (field, value string, err error) {
	field, rest, ok := strings.Cut(strings.TrimSpace(clause), " eq ")
	rest = strings.TrimSpace(rest)
	if !ok || len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
		return "", "", fmt.Errorf("filter clause %q is not supported", clause)
	}
	inner := rest[1 : len(rest)-1]
	if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
		return "", "", fmt.Errorf("filter clause %q is not supported", clause)
	}
	return strings.TrimSpace(field), strings.ReplaceAll(inner, "''", "'"), nil
}

// getMailboxSettings answers a person's settings.
func getMailboxSettings(c *call) (int, any, error) {
	c.s.world.mu.RLock()
	defer c.s.world.mu.RUnlock()
	never := wallTime{DateTime: "0001-01-01T00:00:00.0000000", TimeZone: "UTC"}
	return http.StatusOK, object{
		{"@odata.context", c.contextURL("users('" + url.PathEscape(c.box.id) + "')/mailboxSettings")},
		{"automaticRepliesSetting", map[string]any{
			"status": "disabled", "externalAudience": "all", "scheduledStartDateTime": never, "scheduledEndDateTime": never,
			"internalReplyMessage": "", "externalReplyMessage": "",
		}},
		{"timeZone", c.box.zone},
		{"language", map[string]any{"locale": "en-US", "displayName": "English (United States)"}},
		{"workingHours", c.box.working.json(c.box)},
		{"dateFormat", "MM/dd/yyyy"},
		{"timeFormat", "hh:mm tt"},
		{"delegateMeetingMessageDeliveryOptions", "sendToDelegateOnly"},
	}, nil
}
