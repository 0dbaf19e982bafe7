package webhook

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Graph's own collections are three levels deep and an extended one (encryptedContent, unknown additions) a few more.
const maxDepth = 32

var (
	errNotCollection = errors.New("not a change notification collection")
	errTooManyItems  = errors.New("too many items")
)

// item is one element of a collection's value array, as far as pairsync reads it. The fields are views of the POST's body or,
// where the text was escaped, copies; a field that is absent, null or no string is nil.
// https://learn.microsoft.com/graph/api/resources/changenotification
type item struct {
	subscriptionID []byte
	tenantID       []byte
	clientState    []byte
	changeType     []byte
	lifecycleEvent []byte
	resource       []byte
	// eventID and etag are resourceData's id and @odata.etag.
	eventID []byte
	etag    []byte
	// notObject marks an element that is no JSON object at all.
	notObject bool
}

// parser reads collections token by token, so what it needs for a POST grows with the items in it and not with what else is
// in there. jsontext was the choice because it checks the whole text strictly without building it in memory, keeps its hands
// off unsafe and generated machine code (this is the one parser that strangers reach), and is what encoding/json's next
// version is made of.
type parser struct {
	dec  jsontext.Decoder
	in   bytes.Buffer
	body []byte
	// items is reused from POST to POST.
	items    []item
	maxItems int
}

// parsers keeps parsers between POSTs.
type parsers struct{ pool sync.Pool }

func newParsers(maxItems int) *parsers {
	return &parsers{pool: sync.Pool{New: func() any { return &parser{maxItems: maxItems} }}}
}

func (p *parsers) get() *parser {
	ps, _ := p.pool.Get().(*parser)
	return ps
}

// put takes a parser back; the items that it returned are invalid from here on.
func (p *parsers) put(ps *parser) {
	ps.body, ps.in = nil, bytes.Buffer{}
	if cap(ps.items) > 256 {
		ps.items = nil // a rare giant should not stay resident
	}
	clear(ps.items[:cap(ps.items)])
	p.pool.Put(ps)
}

// collection reads a whole POST. The items are valid until the parser is put back, and as long as body is left alone. It
// fails with errTooManyItems, errNotCollection or a syntax error of jsontext.
func (p *parser) collection(body []byte) ([]item, error) {
	p.body, p.items = body, p.items[:0]
	p.in = *bytes.NewBuffer(body)
	// Repeated names are legal JSON; the last one counts, and nothing is stored to find them.
	p.dec.Reset(&p.in, jsontext.AllowDuplicateNames(true))
	if p.dec.PeekKind() != jsontext.KindBeginObject {
		return nil, p.failure(errNotCollection)
	}
	seen := false
	err := p.object(func(name []byte) error {
		if string(name) != "value" {
			return p.skip()
		}
		if seen || p.dec.PeekKind() != jsontext.KindBeginArray {
			return p.failure(errNotCollection)
		}
		seen = true
		return p.values()
	})
	if err != nil {
		return nil, err
	}
	if !seen {
		return nil, errNotCollection
	}
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errNotCollection
	}
	return p.items, nil
}

// failure prefers the syntax error that the decoder stopped at, if any.
func (p *parser) failure(other error) error {
	if p.dec.PeekKind() == jsontext.KindInvalid {
		if _, err := p.dec.ReadToken(); err != nil {
			return err
		}
	}
	return other
}

// values reads the elements of the array that comes next.
func (p *parser) values() error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() != jsontext.KindEndArray {
		if len(p.items) == p.maxItems {
			return p.failure(errTooManyItems)
		}
		p.items = append(p.items, item{})
		it := &p.items[len(p.items)-1]
		if p.dec.PeekKind() != jsontext.KindBeginObject {
			it.notObject = true
			if err := p.skip(); err != nil {
				return err
			}
			continue
		}
		if err := p.item(it); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return err
}

func (p *parser) item(it *item) error {
	return p.object(func(name []byte) error {
		switch string(name) {
		case "subscriptionId":
			return p.text(&it.subscriptionID)
		case "tenantId":
			return p.text(&it.tenantID)
		case "clientState":
			return p.text(&it.clientState)
		case "changeType":
			return p.text(&it.changeType)
		case "lifecycleEvent":
			return p.text(&it.lifecycleEvent)
		case "resource":
			return p.text(&it.resource)
		case "resourceData":
			it.eventID, it.etag = nil, nil
			if p.dec.PeekKind() != jsontext.KindBeginObject {
				return p.skip()
			}
			return p.object(func(name []byte) error {
				switch string(name) {
				case "id":
					return p.text(&it.eventID)
				case "@odata.etag":
					return p.text(&it.etag)
				}
				return p.skip()
			})
		}
		return p.skip()
	})
}

// object reads the object that comes next; each is called after a member's name and reads the member's value.
func (p *parser) object(each func(name []byte) error) error {
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() != jsontext.KindEndObject {
		name, err := p.unquoted()
		if err != nil {
			return err
		}
		if err := each(name); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return err
}

// text reads a string into dst; any other value leaves dst nil.
func (p *parser) text(dst *[]byte) error {
	*dst = nil
	if p.dec.PeekKind() != jsontext.KindString {
		return p.skip()
	}
	s, err := p.unquoted()
	*dst = s
	return err
}

// unquoted reads the string that comes next as a view of the body, or as a copy where it holds escapes.
func (p *parser) unquoted() ([]byte, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(v, '\\') >= 0 {
		return jsontext.AppendUnquote(nil, v)
	}
	// The decoder's own slice is only lent until the next read; the body is ours.
	end := int(p.dec.InputOffset())
	return p.body[end-len(v)+1 : end-1], nil
}

// skip passes over the value that comes next, refusing what is nested too deeply.
func (p *parser) skip() error {
	if kind := p.dec.PeekKind(); kind != jsontext.KindBeginObject && kind != jsontext.KindBeginArray {
		return p.dec.SkipValue()
	}
	depth := p.dec.StackDepth()
	for {
		if _, err := p.dec.ReadToken(); err != nil {
			return err
		}
		switch now := p.dec.StackDepth(); {
		case now > maxDepth:
			return errNotCollection
		case now == depth:
			return nil
		}
	}
}
