package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	err := encode(&buf, o)
	return buf.Bytes(), err
}

// encode writes a value as JSON. Objects are written straight through: encoding/json would check and copy each level of
// them again.
func encode(buf *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case object:
		buf.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				buf.WriteByte(',')
			}
			buf.WriteByte('"')
			buf.WriteString(m.name) // Our own names need no escapes.
			buf.WriteString(`":`)
			if err := encode(buf, m.value); err != nil {
				return fmt.Errorf("writing %s: %w", m.name, err)
			}
		}
		buf.WriteByte('}')
	case []object:
		buf.WriteByte('[')
		for i, o := range v {
			if i > 0 {
				buf.WriteByte(',')
			}
			if err := encode(buf, o); err != nil {
				return err
			}
		}
		buf.WriteByte(']')
	case wallTime:
		return encode(buf, object{{"dateTime", v.DateTime}, {"timeZone", v.TimeZone}})
	case address:
		return encode(buf, object{{"name", v.Name}, {"address", v.Email}})
	case bool:
		buf.Write(strconv.AppendBool(buf.AvailableBuffer(), v))
	case int:
		buf.Write(strconv.AppendInt(buf.AvailableBuffer(), int64(v), 10))
	case nil:
		buf.WriteString("null")
	default:
		enc := json.NewEncoder(buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return err
		}
		buf.Truncate(buf.Len() - 1) // Without the line end.
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b) // The caller may have gone.
}

// base is the scheme and host under which the caller knows this server.
func (s *Simulator) base(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimSuffix(s.cfg.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// contextURL is Graph's @odata.context.
func (c *call) contextURL(fragment string) string {
	return c.s.base(c.r) + "/v1.0/$metadata#" + fragment
}

// nextLink is the request's own URL with another $skip.
func (c *call) nextLink(skip int) string { return c.nextLinkBy("$skip", strconv.Itoa(skip)) }

func (c *call) nextLinkBy(option, value string) string {
	q := c.r.URL.Query()
	q.Set(option, value)
	// Graph leaves the dollar sign of its options as it is.
	return c.s.base(c.r) + c.r.URL.EscapedPath() + "?" + strings.ReplaceAll(q.Encode(), "%24", "$")
}

// paging reads $top and $skip; without $top a page has size items, or usual ones when size is zero.
func paging(q url.Values, size, usual int) (top, skip int, err error) {
	top = usual
	if size > 0 {
		top = min(size, 1000)
	}
	if v := q.Get("$top"); v != "" {
		if top, err = strconv.Atoi(v); err != nil || top < 1 || top > 1000 {
			return 0, 0, badRequest("Invalid value '%s' for $top query option found. The value must be between 1 and 1000.", v)
		}
	}
	if v := q.Get("$skip"); v != "" {
		if skip, err = strconv.Atoi(v); err != nil || skip < 0 || skip > 1_000_000 {
			return 0, 0, badRequest("Invalid value '%s' for $skip query option found.", v)
		}
	}
	return top, skip, nil
}

func noProperty(name, typ string) *graphError {
	return refuse(http.StatusBadRequest, "RequestBroker--ParseUri", fmt.Sprintf(
		"Could not find a property named '%s' on type '%s'.", name, typ))
}
