package workers

import "context"

// Steps has fn called after each step on a request's way: in the goroutine that made it, which does nothing more until fn
// returns, and never again if fn ends it.
func (w *Workers) Steps(fn func(ctx context.Context, done string)) {
	w.applier.step, w.dispatcher.step = fn, fn
}
