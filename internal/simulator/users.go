package simulator

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

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
		{"assignedLicenses", licenses(box)},
		{"onPremisesSyncEnabled", onPremises(box)},
	}
}

// licenses has the one of a person whose mailbox is paid for.
func licenses(box *mailbox) []any {
	if box.kind == MailboxUnlicensed {
		return []any{}
	}
	return []any{map[string]any{"disabledPlans": []any{}, "skuId": "05e9a617-0261-4cee-bb44-138d3ef5d965"}}
}

// onPremises is true for a person who comes from a directory of the organisation's own, and null for others, as in Entra.
func onPremises(box *mailbox) any {
	if box.kind == MailboxOnPremises {
		return true
	}
	return nil
}

const userDefaults = 11

// getUser answers a person of the directory, whatever became of their mailbox.
func getUser(c *call) (int, any, error) {
	if c.who.person() && c.who.ObjectID != c.box.id && !c.who.may(readDirectory()) {
		return 0, nil, refuse(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
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
	return all.only(strings.Split(sel, ","), "microsoft.graph.user")
}

// listUsers answers the people of the organisation; of $filter it knows mail and userPrincipalName eq '…', joined by or.
func listUsers(c *call) (int, any, error) {
	q := c.r.URL.Query()
	top, skip, err := directoryPaging(q)
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
		body = append(body, member{"@odata.nextLink", c.nextLinkBy("$skiptoken", directoryToken(skip+top))})
	}
	return http.StatusOK, append(body, member{"value", values}), nil
}

// directoryPaging reads $top and $skiptoken: the directory knows no $skip, and its pages are smaller than a calendar's.
func directoryPaging(q url.Values) (top, skip int, err error) {
	top = 100
	if v := q.Get("$top"); v != "" {
		if top, err = strconv.Atoi(v); err != nil || top < 1 || top > 999 {
			return 0, 0, badRequest("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", v)
		}
	}
	if q.Has("$skip") {
		return 0, 0, badRequest("'$skip' is not supported by the service.")
	}
	if v := q.Get("$skiptoken"); v != "" {
		b, err := base64.RawURLEncoding.DecodeString(v)
		if err == nil {
			skip, err = strconv.Atoi(string(b))
		}
		if err != nil || skip < 0 {
			return 0, 0, refuse(http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
	}
	return top, skip, nil
}

func directoryToken(skip int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(skip)))
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
