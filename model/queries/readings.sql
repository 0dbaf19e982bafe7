-- Whoever locks several sessions locks them in this order.
-- name: LockSessions :many
SELECT sqlc.embed(s), p.email, p.mailbox_status, t.policy_reschedule, t.policy_cancel
FROM sessions s
JOIN participants p ON p.tenant = s.tenant AND p.id = s.organizer
JOIN tenants t ON t.id = s.tenant
JOIN (SELECT unnest(@tenants::text[]) AS tenant, unnest(@ids::text[]) AS id) r ON s.tenant = r.tenant AND s.id = r.id
ORDER BY s.tenant, s.id
FOR NO KEY UPDATE OF s;

-- Year 1 stands for a time that is not known: arrays of times can't hold nulls here.
-- name: WriteReadings :exec
UPDATE sessions s SET
    status = u.status, starts_at = u.starts_at, ends_at = u.ends_at, join_url = u.join_url, attendees = u.attendees,
    event_id = NULLIF(u.event_id, ''), ical_uid = u.ical_uid, change_key = u.change_key,
    series_master_id = NULLIF(u.series_master_id, ''),
    original_start = NULLIF(u.original_start, '0001-01-01 00:00:00+00'::timestamptz),
    last_modified_at = NULLIF(u.last_modified_at, '0001-01-01 00:00:00+00'::timestamptz),
    read_at = NULLIF(u.read_at, '0001-01-01 00:00:00+00'::timestamptz), vanished = u.vanished, state = u.state,
    intent = NULLIF(u.intent, 'null'::jsonb), version = u.version,
    verified_at = NULLIF(u.verified_at, '0001-01-01 00:00:00+00'::timestamptz),
    notified_at = GREATEST(s.notified_at, NULLIF(u.notified_at, '0001-01-01 00:00:00+00'::timestamptz)),
    verify_due_at = CASE
        WHEN s.verify_requested_at > u.began_at THEN s.verify_due_at
        WHEN s.event_id IS NULL AND u.event_id <> '' AND u.ends_at > now()
            AND u.next_verify_at = '0001-01-01 00:00:00+00'::timestamptz THEN now()
        WHEN u.next_verify_at = '0001-01-01 00:00:00+00'::timestamptz THEN s.verify_due_at
        WHEN u.ends_at > u.next_verify_at THEN u.next_verify_at
    END,
    verify_cause = CASE WHEN s.verify_requested_at > u.began_at THEN s.verify_cause ELSE 'sweep' END,
    verify_requested_at = CASE WHEN s.verify_requested_at > u.began_at THEN s.verify_requested_at END,
    updated_at = CASE WHEN s.version = u.version THEN s.updated_at ELSE now() END
FROM (
    SELECT
        unnest(@tenants::text[]) AS tenant, unnest(@ids::text[]) AS id, unnest(@statuses::text[]) AS status,
        unnest(@starts::timestamptz[]) AS starts_at, unnest(@ends::timestamptz[]) AS ends_at,
        unnest(@join_urls::text[]) AS join_url, unnest(@attendees::jsonb[]) AS attendees,
        unnest(@event_ids::text[]) AS event_id, unnest(@ical_uids::text[]) AS ical_uid,
        unnest(@change_keys::text[]) AS change_key, unnest(@series_master_ids::text[]) AS series_master_id,
        unnest(@original_starts::timestamptz[]) AS original_start,
        unnest(@last_modified::timestamptz[]) AS last_modified_at, unnest(@read_at::timestamptz[]) AS read_at,
        unnest(@vanished::boolean[]) AS vanished, unnest(@versions::bigint[]) AS version,
        unnest(@verified_at::timestamptz[]) AS verified_at, unnest(@notified_at::timestamptz[]) AS notified_at,
        unnest(@states::text[]) AS state, unnest(@intents::jsonb[]) AS intent,
        unnest(@began_at::timestamptz[]) AS began_at, unnest(@next_verify_at::timestamptz[]) AS next_verify_at
) u
WHERE s.tenant = u.tenant AND s.id = u.id;

-- Draws cursors in commit order: the lock is held to the end of the transaction, and no row is locked after it. The number
-- is the lock's name among this database's advisory locks.
-- name: WriteChanges :many
WITH feed AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(7205759403792793601) IS NULL AS held
), written AS (
    INSERT INTO changes (
        cursor, id, tenant, session, version, kind, source, cause, before, after, participant,
        occurred_at, received_at, applied_at, applied
    )
    SELECT
        nextval('changes_cursor'), u.id, u.tenant, u.session, u.version, u.kind, u.source, u.cause,
        NULLIF(u.before, 'null'::jsonb), NULLIF(u.after, 'null'::jsonb), u.participant,
        u.occurred_at, u.received_at, clock_timestamp(), u.applied
    FROM feed CROSS JOIN (
        SELECT
            unnest(@ids::uuid[]) AS id, unnest(@tenants::text[]) AS tenant, unnest(@sessions::text[]) AS session,
            unnest(@versions::bigint[]) AS version, unnest(@kinds::text[]) AS kind, unnest(@sources::text[]) AS source,
            unnest(@causes::text[]) AS cause, unnest(@befores::jsonb[]) AS before, unnest(@afters::jsonb[]) AS after,
            unnest(@participants::text[]) AS participant, unnest(@occurred_at::timestamptz[]) AS occurred_at,
            unnest(@received_at::timestamptz[]) AS received_at, unnest(@applied::boolean[]) AS applied
    ) u
    RETURNING cursor, id, applied_at, tenant, session
), queued AS (
    INSERT INTO outbox (cursor) SELECT w.cursor FROM written w
), called AS (
    INSERT INTO callback_queue (cursor, tenant, session, due_at)
    SELECT w.cursor, w.tenant, w.session, GREATEST(now(), t.callback_paused_until)
    FROM written w JOIN tenants t ON t.id = w.tenant AND t.callback_url <> ''
), told AS (
    SELECT pg_notify('pairsync_changes', '')
)
SELECT w.cursor, w.id, w.applied_at FROM written w, told ORDER BY w.cursor;

-- Requests that a reading, an answer or the platform has changed. Whoever writes them holds the sessions' locks; the rows are
-- written in the sessions' order. One that is still open is published again at once.
-- name: SettleRequests :exec
WITH u AS (
    SELECT unnest(@tenants::text[]) AS tenant, unnest(@sessions::text[]) AS session, unnest(@open::boolean[]) AS open,
        unnest(@versions::bigint[]) AS version, unnest(@bookings::bigint[]) AS bookings,
        unnest(@requested_at::timestamptz[]) AS requested_at
), settled AS (
    UPDATE requests r SET
        open = u.open, version = GREATEST(r.version, u.version), bookings = GREATEST(r.bookings, u.bookings),
        requested_at = COALESCE(NULLIF(u.requested_at, '0001-01-01 00:00:00+00'::timestamptz), r.requested_at),
        publish_due_at = CASE WHEN u.open THEN now() END,
        claimed_until = CASE WHEN u.open THEN r.claimed_until END
    FROM u WHERE r.tenant = u.tenant AND r.session = u.session
    RETURNING r.open
)
SELECT pg_notify('pairsync_commands', '') WHERE EXISTS (SELECT 1 FROM settled WHERE open);

-- name: ClosePending :exec
UPDATE pending p SET status = u.status, answered_at = now()
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@statuses::text[]) AS status) u
WHERE p.id = u.id AND p.status = 'open';

-- name: InsertPending :exec
INSERT INTO pending (id, tenant, session, kind, status, before, after, occurred_at, received_at)
SELECT
    unnest(@ids::uuid[]), unnest(@tenants::text[]), unnest(@sessions::text[]), unnest(@kinds::text[]), unnest(@statuses::text[]),
    unnest(@befores::jsonb[]), unnest(@afters::jsonb[]), unnest(@occurred_at::timestamptz[]),
    unnest(@received_at::timestamptz[]);
