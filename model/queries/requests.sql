-- name: InsertRequest :exec
INSERT INTO requests (tenant, session, wanted, version, bookings, requested_at, open, publish_due_at)
VALUES (@tenant, @session, @wanted, 1, 1, @requested_at, @open, CASE WHEN @open::boolean THEN now() END);

-- name: SaveWanted :exec
UPDATE requests SET wanted = @wanted WHERE tenant = @tenant AND session = @session;

-- The request's row is locked too: whoever waited for the session must see the request as it is then.
-- name: LockSessionRequest :one
SELECT sqlc.embed(s), p.email, p.mailbox_status, p.mailbox_id, t.policy_reschedule, t.policy_cancel, t.method,
    r.wanted, r.version, r.bookings, r.requested_at, now()::timestamptz AS at
FROM sessions s
JOIN participants p ON p.tenant = s.tenant AND p.id = s.organizer
JOIN tenants t ON t.id = s.tenant
JOIN requests r ON r.tenant = s.tenant AND r.session = s.id
WHERE s.tenant = @tenant AND s.id = @id
FOR NO KEY UPDATE OF s, r;

-- What somebody did in Outlook, and when by Outlook's clock: the platform's older wishes don't undo it.
-- name: LastMoveInOutlook :one
SELECT COALESCE(max(c.occurred_at), '0001-01-01 00:00:00+00'::timestamptz)::timestamptz FROM changes c
WHERE c.tenant = @tenant AND c.session = @session AND c.source = 'outlook' AND c.applied
    AND (c.kind = 'rescheduled' OR c.kind = 'reinstated');

-- Zero values of event and times are not known. A session that is due no more (it was over) is due again when it moves on.
-- name: SaveIntentions :exec
UPDATE sessions s SET
    status = @status, starts_at = @starts_at, ends_at = @ends_at, time_zone = @time_zone, title = @title,
    attendees = @attendees, event_id = NULLIF(@event_id::text, ''), ical_uid = @ical_uid, change_key = @change_key,
    series_master_id = NULLIF(@series_master_id::text, ''), original_start = sqlc.narg(original_start),
    last_modified_at = sqlc.narg(last_modified_at), read_at = sqlc.narg(read_at), vanished = @vanished,
    state = @state, intent = sqlc.narg(intent), version = @version,
    verify_due_at = CASE
        WHEN @event_id::text = '' THEN NULL
        WHEN s.verify_due_at IS NULL AND @ends_at > now() THEN now()
        ELSE s.verify_due_at
    END,
    updated_at = now()
WHERE s.tenant = @tenant AND s.id = @id;

-- name: SaveIntent :exec
UPDATE sessions SET intent = sqlc.narg(intent), state = @state WHERE tenant = @tenant AND id = @id;

-- name: ClaimCommands :many
WITH due AS (
    SELECT r.tenant, r.session FROM requests r
    WHERE r.open AND r.publish_due_at <= now()
    ORDER BY r.publish_due_at
    LIMIT @count
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE requests r SET publish_due_at = now() + LEAST(w.longest, GREATEST(w.longest / 12, now() - r.requested_at))
FROM due d CROSS JOIN (SELECT @again::interval AS longest) w WHERE r.tenant = d.tenant AND r.session = d.session
RETURNING r.tenant, r.session, r.version;

-- name: NotifyCommands :exec
SELECT pg_notify('pairsync_commands', '');

-- name: NextCommandDue :one
SELECT publish_due_at FROM requests WHERE open AND publish_due_at IS NOT NULL ORDER BY publish_due_at LIMIT 1;

-- name: LeaseRequest :one
UPDATE requests SET claimed_until = now() + @lease::interval,
    publish_due_at = GREATEST(publish_due_at, now() + @lease::interval)
WHERE tenant = @tenant AND session = @session AND open AND COALESCE(claimed_until <= now(), true)
RETURNING claimed_until::timestamptz AS claimed_until;

-- A lease that has run out is no longer its holder's to release.
-- name: ReleaseRequest :exec
WITH released AS (
    UPDATE requests SET claimed_until = NULL, publish_due_at = @retry_at
    WHERE tenant = @tenant AND session = @session AND open AND claimed_until = @claimed_until
    RETURNING 1
)
SELECT pg_notify('pairsync_commands', '') WHERE EXISTS (SELECT 1 FROM released);

-- Nobody is carrying out what a mailbox that could not be read has held up: whoever tried has gone.
-- name: WakeRequests :exec
WITH locked AS (
    SELECT r.tenant, r.session FROM requests r
    JOIN sessions s ON s.tenant = r.tenant AND s.id = r.session
    WHERE r.tenant = @tenant AND r.open AND s.organizer = @organizer
    ORDER BY r.tenant, r.session
    FOR NO KEY UPDATE OF r
), woken AS (
    UPDATE requests r SET publish_due_at = LEAST(r.publish_due_at, now())
    FROM locked l WHERE r.tenant = l.tenant AND r.session = l.session
    RETURNING 1
)
SELECT pg_notify('pairsync_commands', '') WHERE EXISTS (SELECT 1 FROM woken);
