-- name: InsertSession :execrows
INSERT INTO sessions (
    tenant, id, status, organizer, starts_at, ends_at, time_zone, title, online_meeting, attendees, event_id,
    state, version, verify_due_at, verify_cause, verify_requested_at, intent
) VALUES (
    @tenant, @id, 'scheduled', @organizer, @starts_at, @ends_at, @time_zone, @title, @online_meeting, @attendees,
    sqlc.narg(event_id), 'pending', 1,
    CASE WHEN @ends_at > now() AND sqlc.narg(event_id)::text IS NOT NULL THEN now() END, 'request', now(),
    sqlc.narg(intent)
)
ON CONFLICT (tenant, id) DO NOTHING;

-- name: GetSession :one
SELECT sqlc.embed(s), p.email, p.mailbox_status
FROM sessions s JOIN participants p ON p.tenant = s.tenant AND p.id = s.organizer
WHERE s.tenant = @tenant AND s.id = @id;

-- The participant is looked for along the index on the start: an index on the attendees would have to be rewritten with
-- every reading.
-- name: ListSessions :many
SELECT sqlc.embed(s), p.email, p.mailbox_status
FROM sessions s JOIN participants p ON p.tenant = s.tenant AND p.id = s.organizer
WHERE s.tenant = @tenant
    AND (@status::text = '' OR s.status = @status)
    AND (@participant::text = '' OR s.organizer = @participant
        OR s.attendees @> jsonb_build_array(jsonb_build_object('participant', @participant::text)))
    AND s.starts_at >= @starts_from AND s.starts_at < @starts_before
    AND (s.starts_at, s.id) > (@after_starts_at::timestamptz, @after_id::text)
ORDER BY s.starts_at, s.id
LIMIT @count;

-- name: TiedSessions :many
SELECT r.n::integer AS n, sqlc.embed(s), p.email, p.mailbox_status
FROM (
    SELECT unnest(@tenants::text[]) AS tenant, unnest(@events::text[]) AS event_id, unnest(@numbers::integer[]) AS n
) r
JOIN LATERAL (
    SELECT e.tenant, e.id FROM sessions e WHERE e.tenant = r.tenant AND e.event_id = r.event_id
    UNION ALL
    SELECT m.tenant, m.id FROM sessions m WHERE m.tenant = r.tenant AND m.series_master_id = r.event_id
) k ON true
JOIN sessions s ON s.tenant = k.tenant AND s.id = k.id
JOIN participants p ON p.tenant = s.tenant AND p.id = s.organizer
ORDER BY r.n, s.id;
