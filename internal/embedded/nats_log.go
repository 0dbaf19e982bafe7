package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// natsLog hands what the server has to say to slog. Its notices are debug records here: a server inside another program
// is not news.
type natsLog struct {
	log  *slog.Logger
	last atomic.Pointer[string]
}

func (l *natsLog) write(level slog.Level, format string, args []any) {
	//nolint:forbidigo // The server logs from goroutines of its own, which have no context.
	l.log.LogAttrs(context.Background(), level, "nats server", slog.String("detail", fmt.Sprintf(format, args...)))
}

// Noticef takes the server's ordinary news.
func (l *natsLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Warnf takes the server's warnings.
func (l *natsLog) Warnf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Errorf takes the server's errors.
func (l *natsLog) Errorf(format string, v ...any) { l.write(slog.LevelError, format, v) }

// Fatalf keeps the message for the error that StartNATS returns, where the server's own logger would end the process.
func (l *natsLog) Fatalf(format string, v ...any) {
	msg := fmt.Sprintf(format, v...)
	l.last.CompareAndSwap(nil, &msg)
}

// Debugf is never asked for.
func (l *natsLog) Debugf(string, ...any) {}

// Tracef is never asked for.
func (l *natsLog) Tracef(string, ...any) {}

func (l *natsLog) fatal() string {
	if msg := l.last.Load(); msg != nil {
		return *msg
	}
	return ""
}
