package mail

import (
	"strings"
	"testing"
)

func TestTextIsWrapped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 40)
	url := "https://" + strings.Repeat("x", 120) + ".example/"
	l := Letter{Parts: []Part{{Paragraphs: []string{long, url}, Items: []string{long}}, {Title: "Ü", Paragraphs: []string{"x"}}}}
	text := l.text()
	for i, s := range strings.Split(text, "\n") {
		if len([]rune(s)) > width && s != url {
			t.Errorf("line %d has %d characters: %s", i, len([]rune(s)), s)
		}
	}
	if !strings.Contains(text, "\n"+url+"\n") {
		t.Error("the URL was broken")
	}
	if !strings.Contains(text, "- word word") || !strings.Contains(text, "\n  word") {
		t.Errorf("the list is not one:\n%s", text)
	}
	if !strings.Contains(text, "\nÜ\n-\nx\n") {
		t.Errorf("the title is not underlined:\n%s", text)
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\r\nb": "a b", "  a\t b ": "a b", "a\x00b\x1b[31m": "a b [31m", "a\u202eb\u200b": "ab", "a\u2028b\u0085c": "a b c", "é✓": "é✓", "": "",
	} {
		if got := line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
