package mail

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"unicode"
)

//go:embed letter.html
var page string

// Letter is what somebody gets.
type Letter struct {
	// ID makes the Message-ID; the same ID for the same letter lets a mail server know it again.
	ID string
	// To is one bare address.
	To string
	// Subject is one line.
	Subject string
	Parts   []Part
}

// Part is a part of a letter. All of it is plain text.
type Part struct {
	// Title is optional.
	Title string
	// Paragraphs come first, the list after them.
	Paragraphs []string
	Items      []string
}

// line makes one line of a text: no control character survives, and nothing that turns the direction of writing.
func line(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)), " ")
}

// lines makes a part whose every text is one line.
func (p Part) lines() Part {
	clean := Part{Title: line(p.Title)}
	for _, text := range p.Paragraphs {
		clean.Paragraphs = append(clean.Paragraphs, line(text))
	}
	for _, text := range p.Items {
		clean.Items = append(clean.Items, line(text))
	}
	return clean
}

// width is where lines of the plain text are broken.
const width = 76

// text is the letter as plain text.
func (l Letter) text() string {
	var b strings.Builder
	for i, p := range l.Parts {
		if i > 0 {
			b.WriteString("\n")
		}
		p = p.lines()
		if p.Title != "" {
			b.WriteString(p.Title + "\n" + strings.Repeat("-", min(len([]rune(p.Title)), width)) + "\n")
		}
		for j, text := range p.Paragraphs {
			if j > 0 {
				b.WriteString("\n")
			}
			wrap(&b, text, "", "")
		}
		if len(p.Paragraphs) > 0 && len(p.Items) > 0 {
			b.WriteString("\n")
		}
		for _, text := range p.Items {
			wrap(&b, text, "- ", "  ")
		}
	}
	return b.String()
}

// wrap writes a text in lines, the first of them after first and all others after other. A word that is too long stays whole.
func wrap(b *strings.Builder, text, first, other string) {
	at := first
	for word := range strings.FieldsSeq(text) {
		switch {
		case at == first || at == other:
			at += word
		case len([]rune(at))+1+len([]rune(word)) > width:
			b.WriteString(at + "\n")
			at = other + word
		default:
			at += " " + word
		}
	}
	b.WriteString(at + "\n")
}

// html is the letter as a page.
func (l Letter) html(form *template.Template) (string, error) {
	parts := make([]Part, 0, len(l.Parts))
	for _, p := range l.Parts {
		parts = append(parts, p.lines())
	}
	var b bytes.Buffer
	err := form.Execute(&b, struct {
		Subject string
		Parts   []Part
	}{line(l.Subject), parts})
	if err != nil {
		return "", fmt.Errorf("writing the page: %w", err)
	}
	return b.String(), nil
}

// check says what a letter lacks.
func (l Letter) check() error {
	switch {
	case l.To == "":
		return errors.New("no recipient")
	case line(l.Subject) == "":
		return errors.New("no subject")
	case len(l.Parts) == 0:
		return errors.New("nothing to say")
	}
	return nil
}
