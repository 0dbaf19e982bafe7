package graph

// backlog is the items of one Events call that no batch has taken yet, by mailbox.
type backlog struct {
	queues []*laneQueue
}

// laneQueue is one mailbox's items: their places in refs.
type laneQueue struct {
	lane    lane
	indices []int
}

func newBacklog(tenant string, refs []EventRef) *backlog {
	b := &backlog{}
	byLane := make(map[lane]*laneQueue)
	for i, ref := range refs {
		l := mailboxLane(Mailbox{Tenant: tenant, User: ref.Mailbox.User})
		q := byLane[l]
		if q == nil {
			q = &laneQueue{lane: l}
			byLane[l] = q
			b.queues = append(b.queues, q)
		}
		q.indices = append(q.indices, i)
	}
	return b
}

func (b *backlog) empty() bool { return len(b.queues) == 0 }

func (b *backlog) each(fn func(index int)) {
	for _, q := range b.queues {
		for _, i := range q.indices {
			fn(i)
		}
	}
}
