-- name: OpenIncident :one
INSERT INTO incidents AS i (tenant, scope, participant, status, reason)
VALUES (@tenant, @scope, @participant, @status, @reason)
ON CONFLICT (tenant, scope, participant) WHERE closed_at IS NULL DO UPDATE SET
    status = excluded.status, reason = excluded.reason
RETURNING i.id, (i.opened_mail IS NOT NULL)::boolean AS told;

-- name: IncidentIsOpen :one
SELECT EXISTS (
    SELECT 1 FROM incidents
    WHERE tenant = @tenant AND scope = @scope AND participant = @participant AND closed_at IS NULL
);

-- name: CloseIncident :one
UPDATE incidents SET closed_at = now()
WHERE tenant = @tenant AND scope = @scope AND participant = @participant AND closed_at IS NULL
RETURNING id, opened_mail;

-- A letter that nobody has claimed yet takes more.
-- name: LockLetter :one
SELECT id FROM mails
WHERE tenant = @tenant AND kind = @kind AND status = 'queued' AND attempts = 0 AND COALESCE(claimed_until <= now(), true)
ORDER BY id
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: InsertLetter :one
INSERT INTO mails (tenant, kind) VALUES (@tenant, @kind) RETURNING id;

-- name: TellOpened :exec
UPDATE incidents SET opened_mail = @mail::bigint WHERE id = @id;

-- name: TellRecovered :exec
UPDATE incidents SET recovered_mail = @mail::bigint WHERE id = @id;

-- name: LockMail :one
SELECT status, (status = 'queued' AND COALESCE(claimed_until <= now(), true))::boolean AS unclaimed
FROM mails WHERE id = @id FOR NO KEY UPDATE;

-- name: UntellOpened :exec
UPDATE incidents SET opened_mail = NULL WHERE id = @id;

-- name: DropEmptyLetter :exec
UPDATE mails m SET status = 'dropped', updated_at = now()
WHERE m.id = @id AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.opened_mail = m.id);

-- name: InsertForecast :execrows
INSERT INTO mails (tenant, kind, subject, expires_at, days) VALUES (@tenant, 'expiry', @subject, @expires_at::timestamptz, @days::bigint)
ON CONFLICT (tenant, subject, expires_at, days) WHERE kind = 'expiry' DO NOTHING;

-- What is older than a week tells nobody anything.
-- name: ClaimMails :many
WITH due AS (
    SELECT m.id FROM mails m
    WHERE m.status = 'queued' AND m.due_at <= now() AND m.created_at > now() - interval '7 days'
        AND m.created_at <= now() - @gather::interval
        AND COALESCE(m.claimed_until <= now(), true)
    ORDER BY m.due_at
    LIMIT @count
    FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE mails m SET claimed_until = now() + @lease::interval
    FROM due d WHERE m.id = d.id
    RETURNING m.id
)
SELECT sqlc.embed(m), t.name, t.owner_email FROM claimed c
JOIN mails m ON m.id = c.id
JOIN tenants t ON t.id = m.tenant
ORDER BY m.id;

-- name: IncidentsOfMails :many
SELECT sqlc.embed(i) FROM incidents i
WHERE i.opened_mail = ANY (@mails::bigint[]) OR i.recovered_mail = ANY (@mails::bigint[])
ORDER BY i.id;

-- name: NextMailDue :one
SELECT GREATEST(due_at, claimed_until, created_at + @gather::interval)::timestamptz AS at FROM mails
WHERE status = 'queued' AND created_at > now() - interval '7 days'
ORDER BY 1
LIMIT 1;

-- name: MailSending :execrows
UPDATE mails SET status = 'sending', updated_at = now()
WHERE id = @id AND status = 'queued' AND claimed_until > now();

-- name: MailSent :exec
UPDATE mails SET status = 'sent', claimed_until = NULL, updated_at = now() WHERE id = @id AND status = 'sending';

-- name: MailFailed :exec
UPDATE mails SET
    status = 'queued', claimed_until = NULL, attempts = attempts + 1, due_at = @retry_at, updated_at = now()
WHERE id = @id AND status IN ('queued', 'sending');

-- name: MailDropped :exec
UPDATE mails SET status = 'dropped', claimed_until = NULL, updated_at = now() WHERE id = @id AND status <> 'sent';

-- name: ListIncidents :many
SELECT sqlc.embed(i) FROM incidents i
WHERE i.tenant = @tenant AND (NOT @open_only::boolean OR i.closed_at IS NULL) AND i.id > @after
ORDER BY i.id
LIMIT @count;

-- name: NotifyMails :exec
SELECT pg_notify('pairsync_mails', '');
