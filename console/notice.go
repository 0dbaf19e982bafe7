package console

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// noticeHTML is the only page that people who come back from Microsoft get to see, and noticeCSS its looks.
var (
	//go:embed pages/notice.html
	noticeHTML string
	//go:embed pages/style.css
	noticeCSS []byte
)

// The paths that browsers come back to, on the webhook server and on the console's own.
const (
	ConsentCallbackPath = "/consent/callback"
	ConnectCallbackPath = "/connect/callback"
	// stylePath is a path of its own because the pages may hold no style themselves. They name it relative to theirs, since a
	// public URL may have a path before it.
	stylePath = "/consent/callback.css"
)

// callbackTimeout leaves the public server, which ends every answer after 15 s, the time to send the page.
const callbackTimeout = 12 * time.Second

// pagePolicy lets a page have our stylesheet and nothing else: no script, no form, no frame, no base.
const pagePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// tone is how a page looks.
type tone string

// The tones.
const (
	toneDone   tone = "done"
	toneWait   tone = "wait"
	toneFailed tone = "failed"
)

// notice is what a page says. Nothing of a query ever gets into one.
type notice struct {
	status int
	Tone   tone
	Title  string
	Text   []string
	Steps  []string
}

// Word is the tone in a word, for those who don't see colours.
func (n notice) Word() string {
	switch n.Tone {
	case toneDone:
		return "Done"
	case toneWait:
		return "Not yet"
	case toneFailed:
	}
	return "Not connected"
}

// parseNotice reads the page's template.
func parseNotice() (*template.Template, error) {
	t, err := template.New("notice").Parse(noticeHTML)
	if err != nil {
		return nil, fmt.Errorf("console: reading the page's template: %w", err)
	}
	return t, nil
}

// CallbackPaths are the paths that Callbacks and RedirectCallbacks answer.
func CallbackPaths() []string { return []string{ConsentCallbackPath, ConnectCallbackPath, stylePath} }

// Callbacks are the handlers of the paths that browsers come back to from Microsoft, to be mounted on the public server
// too. They are complete: they need no frame of the API around them.
func (c *Console) Callbacks() map[string]http.Handler {
	return map[string]http.Handler{
		ConsentCallbackPath: c.callback("callback.css", c.finishConsent),
		ConnectCallbackPath: c.callback("../consent/callback.css", c.finishConnect),
		stylePath:           http.HandlerFunc(serveStyle),
	}
}

// RedirectCallbacks sends browsers that come back from Microsoft on to a console elsewhere, for a public server whose process
// has none.
func RedirectCallbacks(to *url.URL) map[string]http.Handler {
	redirects := map[string]http.Handler{}
	for _, path := range CallbackPaths() {
		target := to.JoinPath(path)
		redirects[path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !onlyGet(w, r) {
				return
			}
			there := *target
			there.RawQuery = r.URL.RawQuery
			w.Header().Set("Cache-Control", "no-store")
			// The query holds a code: it must not go anywhere else.
			w.Header().Set("Referrer-Policy", "no-referrer")
			http.Redirect(w, r, there.String(), http.StatusFound) //nolint:gosec // Scheme, host and path are our own; only the query is the browser's.
		})
	}
	return redirects
}

// onlyGet refuses every method but GET. HEAD too: it would use a link up without showing anybody what came of it.
func onlyGet(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet {
		return true
	}
	w.Header().Set("Allow", http.MethodGet)
	w.WriteHeader(http.StatusMethodNotAllowed)
	return false
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	if !onlyGet(w, r) {
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(noticeCSS)
}

// callback answers a browser with the notice that finish gives. style is where the stylesheet is from the page.
func (c *Console) callback(style string, finish func(r *http.Request) notice) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header(), r)
		if !onlyGet(w, r) {
			return
		}
		n := finish(r)
		var page bytes.Buffer
		err := c.notice.Execute(&page, struct {
			notice
			Style     string
			Reference string
		}{n, style, w.Header().Get(headerRequestID)})
		if err != nil {
			c.log.LogAttrs(r.Context(), slog.LevelError, "a page could not be made", slog.Any("error", err))
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
		w.WriteHeader(n.status)
		_, _ = w.Write(page.Bytes())
	})
}

// firstOf is a parameter that is given once and is not too long; empty otherwise.
func firstOf(q url.Values, name string, limit int) string {
	if given := q[name]; len(given) == 1 && len(given[0]) <= limit {
		return given[0]
	}
	return ""
}
