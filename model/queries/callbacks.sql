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

-- Only the first change of each session is claimed.
-- name: ClaimCallbacks :many
WITH due AS (
    SELECT q.cursor FROM callback_queue q
    WHERE q.due_at <= now() AND COALESCE(q.claimed_until <= now(), true) AND NOT EXISTS (
        SELECT 1 FROM callback_queue e WHERE e.tenant = q.tenant AND e.session = q.session AND e.cursor < q.cursor
    )
    ORDER BY q.due_at, q.cursor
    LIMIT @count
    FOR NO KEY UPDATE OF q SKIP LOCKED
), claimed AS (
    UPDATE callback_queue q SET claimed_until = now() + @lease::interval, first_tried_at = COALESCE(q.first_tried_at, now())
    FROM due d WHERE q.cursor = d.cursor
    RETURNING q.cursor, q.attempts, q.first_tried_at
)
SELECT sqlc.embed(c), x.attempts, x.first_tried_at, t.callback_url, (
    SELECT COALESCE(array_agg(k.sealed ORDER BY k.id DESC), '{}') FROM callback_secrets k
    WHERE k.tenant = c.tenant AND COALESCE(k.expires_at > now(), true)
)::bytea[] AS secrets
FROM claimed x
JOIN changes c ON c.cursor = x.cursor
JOIN tenants t ON t.id = c.tenant
ORDER BY c.cursor;

-- name: NextCallbackDue :one
SELECT GREATEST(q.due_at, q.claimed_until)::timestamptz AS at FROM callback_queue q
WHERE NOT EXISTS (
    SELECT 1 FROM callback_queue e WHERE e.tenant = q.tenant AND e.session = q.session AND e.cursor < q.cursor
)
ORDER BY 1
LIMIT 1;

-- name: CallbackDone :exec
DELETE FROM callback_queue WHERE cursor = @cursor;

-- What waits behind the change in its session need not be looked at before it is due.
-- name: CallbackFailed :exec
UPDATE callback_queue q SET
    due_at = CASE WHEN q.cursor = @cursor THEN @retry_at::timestamptz ELSE GREATEST(q.due_at, @retry_at::timestamptz) END,
    claimed_until = CASE WHEN q.cursor <> @cursor THEN q.claimed_until END,
    attempts = q.attempts + CASE WHEN q.cursor = @cursor THEN 1 ELSE 0 END,
    reason = CASE WHEN q.cursor = @cursor THEN @reason ELSE q.reason END
FROM callback_queue head
WHERE head.cursor = @cursor AND head.tenant = @tenant
    AND q.tenant = head.tenant AND q.session = head.session AND q.cursor >= head.cursor;

-- name: PauseCallbacks :exec
UPDATE tenants SET callback_paused_until = @until::timestamptz, callback_reason = @reason WHERE id = @id;

-- name: ResumeCallbacks :exec
UPDATE tenants SET callback_paused_until = NULL, callback_reason = '' WHERE id = @id;

-- name: PostponeCallbacks :exec
UPDATE callback_queue SET due_at = @until::timestamptz WHERE tenant = @tenant AND due_at < @until::timestamptz;

-- name: CallbackIsPaused :one
SELECT (callback_paused_until IS NOT NULL)::boolean AS paused FROM tenants WHERE id = @id;

-- name: HastenCallbacks :exec
UPDATE callback_queue SET due_at = now() WHERE tenant = @tenant AND due_at > now();

-- name: EmptyCallbacks :exec
DELETE FROM callback_queue WHERE tenant = @tenant;

-- name: NotifyCallbacks :exec
SELECT pg_notify('pairsync_callbacks', '');
