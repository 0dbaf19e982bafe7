package queue

// Held is how many messages the consumer has in hand.
func (c *consumer[T]) Held() int { return c.desk.held() }
