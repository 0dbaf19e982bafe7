package webhook

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServer makes the server of the public door, with the time-outs that keep slow clients from holding it: headers within 5 s,
// the whole request within 10 s (Graph itself gives up after 3 s, and 10 s on a repetition), an answer within 15 s after the
// headers, at most 16 KiB of headers, and idle connections kept for 2 min because Graph comes back on them. Errors of single
// connections are logged at debug level: on the internet they are no news.
func NewServer(addr string, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
