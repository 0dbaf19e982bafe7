-- name: CountMailboxes :many
SELECT mailbox_status, count(*) FROM participants GROUP BY mailbox_status;

-- name: CountTenants :many
SELECT status, count(*) FROM tenants GROUP BY status;

-- name: CountSubscriptions :many
SELECT (CASE WHEN state = 'active' AND expires_at <= now() THEN 'expired' ELSE state END)::text AS state, count(*)
FROM subscriptions GROUP BY 1;

-- name: EarliestExpiry :one
SELECT expires_at FROM subscriptions WHERE state = 'active' AND expires_at > now() ORDER BY expires_at LIMIT 1;

-- name: CountOutbox :one
SELECT count(*) FROM outbox;

-- name: OutboxOldest :one
SELECT c.applied_at FROM outbox o JOIN changes c ON c.cursor = o.cursor ORDER BY o.cursor LIMIT 1;

-- name: CountCallbacks :one
SELECT count(*) FROM callback_queue;

-- name: CallbackOldest :one
SELECT c.applied_at FROM callback_queue q JOIN changes c ON c.cursor = q.cursor ORDER BY q.cursor LIMIT 1;
