-- name: UpsertTenant :one
INSERT INTO tenants (id, name, owner_email, method, callback_url, policy_reschedule, policy_cancel)
VALUES (@id, @name, @owner_email, @method, @callback_url, @policy_reschedule, @policy_cancel)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, owner_email = excluded.owner_email, method = excluded.method,
    callback_url = excluded.callback_url, policy_reschedule = excluded.policy_reschedule,
    policy_cancel = excluded.policy_cancel, updated_at = now()
RETURNING (xmax = 0)::boolean AS created;

-- name: NotifyTenants :exec
SELECT pg_notify('pairsync_tenants', '');

-- name: LockTenant :one
SELECT status, status_reason, callback_url, callback_paused_until, callback_reason FROM tenants WHERE id = @id FOR NO KEY UPDATE;

-- name: GetTenant :one
SELECT sqlc.embed(t), (SELECT count(*) FROM callback_queue q WHERE q.tenant = t.id) AS queued
FROM tenants t WHERE t.id = @id;

-- name: ListTenants :many
SELECT sqlc.embed(t), (SELECT count(*) FROM callback_queue q WHERE q.tenant = t.id) AS queued
FROM tenants t ORDER BY t.id;

-- name: GetTenantStatus :one
SELECT status, status_reason FROM tenants WHERE id = @id;

-- name: SetTenantStatus :exec
UPDATE tenants SET status = @status, status_reason = @reason, updated_at = now() WHERE id = @id;

-- Mailboxes whose sessions are all over are not read any more: what is known of them is old.
-- name: TenantShut :one
SELECT
    (EXISTS (
        SELECT 1 FROM participants p WHERE p.tenant = t.id AND p.mailbox_status = 'unreachable' AND p.mailbox_reason = ANY (@reasons::text[])
            AND EXISTS (SELECT 1 FROM sessions s WHERE s.tenant = p.tenant AND s.organizer = p.id AND s.ends_at > now())
    ) AND NOT EXISTS (
        SELECT 1 FROM participants p WHERE p.tenant = t.id AND p.mailbox_status = 'ok'
            AND EXISTS (SELECT 1 FROM sessions s WHERE s.tenant = p.tenant AND s.organizer = p.id AND s.ends_at > now())
    ))::boolean AS shut
FROM tenants t WHERE t.id = @id AND t.method = 'domain_wide';

-- name: ProbeMailboxes :exec
WITH locked AS (
    SELECT p.tenant, p.id FROM participants p
    WHERE p.tenant = @tenant AND p.mailbox_status NOT IN ('ok', 'unknown')
    ORDER BY p.tenant, p.id
    FOR NO KEY UPDATE
)
UPDATE participants p SET mailbox_probe_at = now(), updated_at = now()
FROM locked l WHERE p.tenant = l.tenant AND p.id = l.id;

-- One session finds out about its mailbox.
-- name: ProbeSessions :execrows
WITH first AS (
    SELECT DISTINCT ON (s.organizer) s.tenant, s.id
    FROM participants p JOIN sessions s ON s.tenant = p.tenant AND s.organizer = p.id AND s.ends_at > now()
    WHERE p.tenant = @tenant AND p.mailbox_status NOT IN ('ok', 'unknown') AND s.verify_due_at IS NOT NULL
    ORDER BY s.organizer, s.starts_at, s.id
), locked AS (
    SELECT s.tenant, s.id FROM sessions s JOIN first f ON f.tenant = s.tenant AND f.id = s.id
    ORDER BY s.tenant, s.id
    FOR NO KEY UPDATE OF s
)
UPDATE sessions s SET verify_due_at = LEAST(s.verify_due_at, now()), updated_at = now()
FROM locked l WHERE s.tenant = l.tenant AND s.id = l.id;

-- name: ProbeSubscriptions :exec
WITH locked AS (
    SELECT s.tenant, s.participant FROM subscriptions s
    WHERE s.tenant = @tenant AND s.state = 'failing'
    ORDER BY s.tenant, s.participant
    FOR NO KEY UPDATE
)
UPDATE subscriptions s SET marks = s.marks + 1, due_at = LEAST(s.due_at, now()), updated_at = now()
FROM locked l WHERE s.tenant = l.tenant AND s.participant = l.participant;

-- name: TenantExists :one
SELECT EXISTS (SELECT 1 FROM tenants WHERE id = @id);

-- name: LockParticipant :one
SELECT email FROM participants WHERE tenant = @tenant AND id = @id FOR NO KEY UPDATE;

-- A new address is another mailbox: what was known of the old one is forgotten.
-- name: UpsertParticipant :one
INSERT INTO participants AS p (tenant, id, email, name, availability)
VALUES (@tenant, @id, @email, @name, @availability)
ON CONFLICT (tenant, id) DO UPDATE SET
    email = excluded.email, name = excluded.name, availability = excluded.availability,
    mailbox_id = CASE WHEN lower(p.email) = lower(excluded.email) THEN p.mailbox_id ELSE '' END,
    mailbox_status = CASE WHEN lower(p.email) = lower(excluded.email) THEN p.mailbox_status ELSE 'unknown' END,
    mailbox_reason = CASE WHEN lower(p.email) = lower(excluded.email) THEN p.mailbox_reason ELSE '' END,
    mailbox_attempts = CASE WHEN lower(p.email) = lower(excluded.email) THEN p.mailbox_attempts ELSE 0 END,
    mailbox_probe_at = CASE WHEN lower(p.email) = lower(excluded.email) THEN p.mailbox_probe_at END,
    updated_at = now()
RETURNING (xmax = 0)::boolean AS created;

-- name: GetParticipant :one
SELECT sqlc.embed(p), COALESCE(s.graph_id, '')::text AS graph_id, s.expires_at AS subscription_expires_at
FROM participants p
LEFT JOIN subscriptions s ON s.tenant = p.tenant AND s.participant = p.id AND s.graph_id <> '' AND s.expires_at > now()
WHERE p.tenant = @tenant AND p.id = @id;

-- name: ListParticipants :many
SELECT sqlc.embed(p), COALESCE(s.graph_id, '')::text AS graph_id, s.expires_at AS subscription_expires_at
FROM participants p
LEFT JOIN subscriptions s ON s.tenant = p.tenant AND s.participant = p.id AND s.graph_id <> '' AND s.expires_at > now()
WHERE p.tenant = @tenant AND p.id > @after_id::text
ORDER BY p.id
LIMIT @count;

-- name: SampleParticipants :many
SELECT sqlc.embed(p), COALESCE(s.graph_id, '')::text AS graph_id, s.expires_at AS subscription_expires_at
FROM (SELECT x.tenant, x.id FROM participants x WHERE x.tenant = @tenant ORDER BY random() LIMIT @count) k
JOIN participants p ON p.tenant = k.tenant AND p.id = k.id
LEFT JOIN subscriptions s ON s.tenant = p.tenant AND s.participant = p.id AND s.graph_id <> '' AND s.expires_at > now()
ORDER BY p.id;

-- name: ParticipantOfMailbox :one
SELECT id FROM participants
WHERE tenant = @tenant AND (mailbox_id = lower(@name::text) AND mailbox_id <> '' OR lower(email) = lower(@name::text))
ORDER BY (mailbox_id = lower(@name::text)) DESC, id
LIMIT 1;

-- name: ParticipantsByID :many
SELECT id, email FROM participants WHERE tenant = @tenant AND id = ANY (@ids::text[]);

-- name: ParticipantsByEmail :many
SELECT r.tenant::text AS tenant, r.email::text AS email, min(p.id)::text AS id
FROM (SELECT unnest(@tenants::text[]) AS tenant, unnest(@emails::text[]) AS email) r
JOIN participants p ON p.tenant = r.tenant AND lower(p.email) = r.email
GROUP BY 1, 2;

-- name: SetMailboxID :execrows
UPDATE participants SET mailbox_id = @mailbox_id, updated_at = now()
WHERE tenant = @tenant AND id = @id AND mailbox_id <> @mailbox_id;
