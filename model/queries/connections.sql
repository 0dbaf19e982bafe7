-- name: ForgetGrants :exec
DELETE FROM grants WHERE expires_at <= now();

-- name: InsertGrant :exec
INSERT INTO grants (nonce, kind, tenant, participant, verifier, expires_at)
VALUES (@nonce, @kind, @tenant, @participant, @verifier, @expires_at);

-- name: UseGrant :one
DELETE FROM grants WHERE nonce = @nonce AND expires_at > now()
RETURNING nonce, kind, tenant, participant, verifier, expires_at;

-- name: NewRefreshToken :one
INSERT INTO refresh_tokens AS r (tenant, participant, sealed, version) VALUES (@tenant, @participant, @sealed, 1)
ON CONFLICT (tenant, participant) DO UPDATE SET
    sealed = excluded.sealed, version = r.version + 1, updated_at = now()
RETURNING version;

-- name: NextRefreshToken :execrows
UPDATE refresh_tokens SET sealed = @sealed, version = version + 1, updated_at = now()
WHERE tenant = @tenant AND participant = @participant AND version = @version;

-- name: GetRefreshToken :one
SELECT sealed, version FROM refresh_tokens WHERE tenant = @tenant AND participant = @participant;

-- name: DeleteRefreshToken :execrows
DELETE FROM refresh_tokens WHERE tenant = @tenant AND participant = @participant AND (@version::bigint = 0 OR version = @version);

-- name: InsertIntegrationRequest :execrows
INSERT INTO integration_requests (id, tenant, participant, status, message)
VALUES (@id, @tenant, @participant, 'open', @message)
ON CONFLICT (tenant, participant) WHERE status = 'open' DO NOTHING;

-- name: OpenIntegrationRequest :one
SELECT sqlc.embed(r) FROM integration_requests r
WHERE r.tenant = @tenant AND r.participant = @participant AND r.status = 'open';

-- name: ListIntegrationRequests :many
SELECT sqlc.embed(r) FROM integration_requests r
WHERE r.tenant = @tenant AND (@status::text = '' OR r.status = @status) AND r.number > @after
ORDER BY r.number
LIMIT @count;

-- name: LockIntegrationRequest :one
SELECT sqlc.embed(r) FROM integration_requests r WHERE r.tenant = @tenant AND r.id = @id FOR NO KEY UPDATE;

-- name: AnswerIntegrationRequest :exec
UPDATE integration_requests SET status = @status, answer = @answer, answered_at = now()
WHERE tenant = @tenant AND id = @id;
