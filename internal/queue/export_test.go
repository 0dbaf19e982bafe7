package queue

// Held is how many messages the consumer has in hand.
func (c *Consumer) Held() int { return c.desk.held() }
