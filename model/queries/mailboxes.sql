-- name: LockMailbox :one
SELECT mailbox_status, mailbox_reason, mailbox_attempts,
    COALESCE(mailbox_probe_at <= now(), true)::boolean AS probed, now()::timestamptz AS at, mailbox_probe_at
FROM participants WHERE tenant = @tenant AND id = @id
FOR NO KEY UPDATE;

-- name: GetMailboxStatus :one
SELECT mailbox_status FROM participants WHERE tenant = @tenant AND id = @id;

-- name: SetMailbox :exec
UPDATE participants SET
    mailbox_status = @status, mailbox_reason = @reason, mailbox_attempts = @attempts,
    mailbox_probe_at = sqlc.narg(probe_at), updated_at = now()
WHERE tenant = @tenant AND id = @id;

-- Rows are locked in the order in which every writer of several sessions locks them.
-- name: MarkSessionsUnreachable :exec
WITH locked AS (
    SELECT s.tenant, s.id FROM sessions s
    WHERE s.tenant = @tenant AND s.organizer = @organizer AND s.ends_at > now()
    ORDER BY s.tenant, s.id
    FOR NO KEY UPDATE
)
UPDATE sessions s SET
    state = 'unreachable', verify_requested_at = NULL, verify_cause = 'sweep', updated_at = now(),
    verify_due_at = CASE WHEN s.ends_at > @probe_at::timestamptz AND s.event_id IS NOT NULL THEN @probe_at::timestamptz END
FROM locked l WHERE s.tenant = l.tenant AND s.id = l.id;

-- Sessions that start soonest come first; a large calendar is spread over up to ten seconds.
-- name: SweepOrganizers :execrows
WITH locked AS (
    SELECT s.tenant, s.id, s.starts_at FROM sessions s
    WHERE s.tenant = @tenant AND s.organizer = ANY (@organizers::text[]) AND s.ends_at > now() AND s.event_id IS NOT NULL
    ORDER BY s.tenant, s.id
    FOR NO KEY UPDATE
), ranked AS (
    SELECT l.tenant, l.id, row_number() OVER (ORDER BY l.starts_at, l.id) - 1 AS n FROM locked l
)
UPDATE sessions s SET
    verify_due_at = now() + LEAST(r.n / 20 * 0.25, 10) * interval '1 second',
    verify_cause = @cause, verify_requested_at = now(), updated_at = now()
FROM ranked r WHERE s.tenant = r.tenant AND s.id = r.id;

-- name: OrganizersOfMailbox :many
SELECT id FROM participants WHERE tenant = @tenant AND mailbox_id = @mailbox_id AND mailbox_id <> '' ORDER BY id;
