package workers

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
)

// errPanicked is a panic that was kept from ending the process.
var errPanicked = errors.New("panicked")

// guard turns a panic into an error and a line in the log: one event that trips a bug must not stop the work on all others.
func guard(ctx context.Context, log *slog.Logger, work func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "the workers panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errPanicked
		}
	}()
	work()
	return nil
}
