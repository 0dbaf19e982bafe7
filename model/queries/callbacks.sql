-- name: SetCallbackSecret :execrows
INSERT INTO callback_secrets (tenant, sealed) VALUES (@tenant, @sealed)
ON CONFLICT (tenant) WHERE expires_at IS NULL DO NOTHING;

-- name: ExpireCallbackSecrets :exec
UPDATE callback_secrets SET expires_at = now() + @keep_for::interval
WHERE tenant = @tenant AND expires_at IS NULL;

-- name: ForgetCallbackSecrets :exec
DELETE FROM callback_secrets WHERE tenant = @tenant AND expires_at <= now();

-- name: CallbackSecrets :many
SELECT sealed FROM callback_secrets
WHERE tenant = @tenant AND COALESCE(expires_at > now(), true)
ORDER BY id DESC;

-- Only the first change of each session is claimed, so many of each tenant and one where the receiver is left alone: there it
-- is another one each time, so that a change which the receiver doesn't want hides no recovery.
-- name: ClaimCallbacks :many
WITH steady AS (
    SELECT q.cursor FROM tenants t CROSS JOIN LATERAL (
        SELECT h.cursor FROM callback_queue h
        WHERE h.tenant = t.id AND h.due_at <= now() AND COALESCE(h.claimed_until <= now(), true) AND NOT EXISTS (
            SELECT 1 FROM callback_queue e WHERE e.tenant = h.tenant AND e.session = h.session AND e.cursor < h.cursor
        )
        ORDER BY h.due_at, h.cursor
        LIMIT @per_tenant
        FOR NO KEY UPDATE SKIP LOCKED
    ) q
    WHERE t.callback_url <> '' AND t.callback_paused_until IS NULL AND t.id <> ALL (@busy::text[])
    LIMIT @count
), probing AS (
    SELECT q.cursor FROM tenants t CROSS JOIN LATERAL (
        SELECT h.cursor FROM callback_queue h
        WHERE h.tenant = t.id AND h.due_at <= now() AND COALESCE(h.claimed_until <= now(), true) AND NOT EXISTS (
            SELECT 1 FROM callback_queue e WHERE e.tenant = h.tenant AND e.session = h.session AND e.cursor < h.cursor
        )
        ORDER BY h.attempts, h.cursor
        LIMIT 1
        FOR NO KEY UPDATE SKIP LOCKED
    ) q
    WHERE t.callback_url <> '' AND t.callback_paused_until <= now() AND t.id <> ALL (@busy::text[])
    LIMIT @count
), claimed AS (
    UPDATE callback_queue q SET claimed_until = now() + @lease::interval, first_tried_at = COALESCE(q.first_tried_at, now())
    FROM (SELECT s.cursor FROM steady s UNION ALL SELECT p.cursor FROM probing p) d WHERE q.cursor = d.cursor
    RETURNING q.cursor, q.attempts, q.first_tried_at
)
SELECT sqlc.embed(c), x.attempts, x.first_tried_at, t.callback_url, (
    SELECT COALESCE(array_agg(k.sealed ORDER BY k.id DESC), '{}') FROM callback_secrets k
    WHERE k.tenant = c.tenant AND COALESCE(k.expires_at > now(), true)
)::bytea[] AS secrets, i.opened_at AS paused_since
FROM claimed x
JOIN changes c ON c.cursor = x.cursor
JOIN tenants t ON t.id = c.tenant
LEFT JOIN incidents i ON i.tenant = t.id AND i.scope = 'callback' AND i.closed_at IS NULL AND t.callback_paused_until IS NOT NULL
ORDER BY c.cursor;

-- What is due already is claimed, or its tenant has its share: the end of a claim is looked for by the clock.
-- name: NextCallbackDue :one
SELECT due_at FROM callback_queue WHERE due_at > now() ORDER BY due_at LIMIT 1;

-- What was tried in vain for so long, and what waited that long for a receiver that is left alone.
-- name: ExpireCallbacks :execrows
WITH old AS (
    SELECT q.cursor FROM callback_queue q
    WHERE COALESCE(q.claimed_until <= now(), true) AND (
        q.attempts > 0 AND q.first_tried_at < now() - @age::interval
        OR EXISTS (
            SELECT 1 FROM incidents i JOIN changes c ON c.cursor = q.cursor
            WHERE i.tenant = q.tenant AND i.scope = 'callback' AND i.closed_at IS NULL AND i.opened_at < now() - @age::interval
                AND c.applied_at < now() - @age::interval
        )
    )
    ORDER BY q.cursor
    FOR UPDATE SKIP LOCKED
)
DELETE FROM callback_queue q USING old o WHERE q.cursor = o.cursor;

-- name: CallbackDone :exec
DELETE FROM callback_queue WHERE cursor = @cursor;

-- What waits behind the change in its session need not be looked at before it is due. Whoever writes several rows of the queue
-- locks them in the order of their cursors.
-- name: CallbackFailed :exec
WITH waiting AS (
    SELECT q.cursor FROM callback_queue head JOIN callback_queue q ON q.tenant = head.tenant AND q.session = head.session
    WHERE head.cursor = @cursor AND head.tenant = @tenant AND q.cursor >= head.cursor
    ORDER BY q.cursor
    FOR NO KEY UPDATE OF q
)
UPDATE callback_queue q SET
    due_at = CASE WHEN q.cursor = @cursor THEN @retry_at::timestamptz ELSE GREATEST(q.due_at, @retry_at::timestamptz) END,
    claimed_until = CASE WHEN q.cursor <> @cursor THEN q.claimed_until END,
    attempts = q.attempts + CASE WHEN q.cursor = @cursor THEN 1 ELSE 0 END,
    reason = CASE WHEN q.cursor = @cursor THEN @reason ELSE q.reason END
FROM waiting w WHERE q.cursor = w.cursor;

-- name: PauseCallbacks :exec
UPDATE tenants SET callback_paused_until = @until::timestamptz, callback_reason = @reason WHERE id = @id;

-- name: ResumeCallbacks :exec
UPDATE tenants SET callback_paused_until = NULL, callback_reason = '' WHERE id = @id;

-- name: PostponeCallbacks :exec
WITH waiting AS (
    SELECT q.cursor FROM callback_queue q WHERE q.tenant = @tenant AND q.due_at < @until::timestamptz
    ORDER BY q.cursor
    FOR NO KEY UPDATE
)
UPDATE callback_queue q SET due_at = @until::timestamptz FROM waiting w WHERE q.cursor = w.cursor;

-- name: CallbackIsPaused :one
SELECT (callback_paused_until IS NOT NULL)::boolean AS paused FROM tenants WHERE id = @id;

-- name: HastenCallbacks :exec
WITH waiting AS (
    SELECT q.cursor FROM callback_queue q WHERE q.tenant = @tenant AND q.due_at > now()
    ORDER BY q.cursor
    FOR NO KEY UPDATE
)
UPDATE callback_queue q SET due_at = now() FROM waiting w WHERE q.cursor = w.cursor;

-- name: EmptyCallbacks :exec
WITH waiting AS (
    SELECT q.cursor FROM callback_queue q WHERE q.tenant = @tenant ORDER BY q.cursor FOR UPDATE
)
DELETE FROM callback_queue q USING waiting w WHERE q.cursor = w.cursor;

-- name: NotifyCallbacks :exec
SELECT pg_notify('pairsync_callbacks', '');
