package graph

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// envelope is Graph's error body. Only its outermost error has a message that is looked at.
type envelope struct {
	Error *errorBody `json:"error"`
}

// errorBody is one layer of an error. Names are matched without regard to case and dashes: innerError and innererror,
// request-id and requestId are all seen.
type errorBody struct {
	Code       jsontext.Value `json:"code"`
	Message    jsontext.Value `json:"message"`
	RequestID  jsontext.Value `json:"requestId"`
	RequestID2 jsontext.Value `json:"request-id"`
	InnerError jsontext.Value `json:"innerError"`
	Existing   jsontext.Value `json:"@event.existingEventId"`

	inner *errorBody
}

// maxInner is how many layers of inner errors are read; Microsoft's guidelines nest a few.
const maxInner = 8

func lenient() json.Options {
	return json.JoinOptions(json.MatchCaseInsensitiveNames(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// parseEnvelope reads an error body; false says that it is not one. A body that isn't JSON, or an odd member in it, is no
// reason to fail: the status still says something.
func parseEnvelope(body []byte) (envelope, bool) {
	var env envelope
	if json.Unmarshal(body, &env, lenient()) != nil || env.Error == nil {
		return envelope{}, false
	}
	layer := env.Error
	for range maxInner {
		var next errorBody
		if layer.InnerError.Kind() != jsontext.KindBeginObject || json.Unmarshal(layer.InnerError, &next, lenient()) != nil {
			break
		}
		layer.inner = &next
		layer = &next
	}
	return env, true
}

// text is a string, or a number as it is written; empty for anything else.
func text(v jsontext.Value) string {
	if v.Kind() == jsontext.KindNumber {
		return string(v)
	}
	if v.Kind() != jsontext.KindString {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}

// code is the outermost code that isn't empty.
func (env envelope) code() string {
	for layer := env.Error; layer != nil; layer = layer.inner {
		if c := text(layer.Code); c != "" {
			return c
		}
	}
	return ""
}

// codesInsideOut lists every code, the innermost and so most telling one first.
func (env envelope) codesInsideOut() []string {
	var codes []string
	for layer := env.Error; layer != nil; layer = layer.inner {
		if c := text(layer.Code); c != "" {
			codes = append(codes, c)
		}
	}
	slices.Reverse(codes)
	return codes
}

func (env envelope) message() string {
	if env.Error == nil {
		return ""
	}
	return text(env.Error.Message)
}

func (env envelope) requestID() string {
	for layer := env.Error; layer != nil; layer = layer.inner {
		if id := text(layer.RequestID) + text(layer.RequestID2); id != "" {
			return printable(id)
		}
	}
	return ""
}

// printable keeps what a request-id may be made of, and not so much of it that a log line could be flooded.
func printable(id string) string {
	id = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, id)
	return id[:min(len(id), 64)]
}
