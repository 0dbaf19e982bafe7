-- Sessions that are over leave the sweep here: nobody claims them, and their due time goes.
-- name: ClaimDue :many
WITH due AS (
    SELECT s.tenant, s.id FROM sessions s
    WHERE s.verify_due_at <= now()
    ORDER BY s.verify_due_at
    LIMIT @count
    FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE sessions s
    SET verify_due_at = CASE WHEN s.ends_at > now() THEN now() + @lease::interval END
    FROM due d WHERE s.tenant = d.tenant AND s.id = d.id
    RETURNING s.tenant, s.id, s.verify_due_at
)
SELECT sqlc.embed(s), p.email, p.mailbox_status, p.mailbox_id, (c.verify_due_at IS NULL)::boolean AS retired
FROM claimed c
JOIN sessions s ON s.tenant = c.tenant AND s.id = c.id
JOIN participants p ON p.tenant = s.tenant AND p.id = s.organizer
ORDER BY s.verify_due_at;

-- name: NextDue :one
SELECT verify_due_at FROM sessions WHERE verify_due_at IS NOT NULL ORDER BY verify_due_at LIMIT 1;

-- name: PostponeVerify :exec
WITH locked AS (
    SELECT s.tenant, s.id FROM sessions s
    JOIN (SELECT unnest(@tenants::text[]) AS tenant, unnest(@ids::text[]) AS id) r ON s.tenant = r.tenant AND s.id = r.id
    WHERE s.verify_due_at IS NOT NULL
    ORDER BY s.tenant, s.id
    FOR NO KEY UPDATE OF s
)
UPDATE sessions s SET verify_due_at = @at::timestamptz
FROM locked l WHERE s.tenant = l.tenant AND s.id = l.id;

-- name: NotifySweep :exec
SELECT pg_notify('pairsync_sweep', '');
