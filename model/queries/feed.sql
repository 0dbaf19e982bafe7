-- name: ChangesAfter :many
SELECT sqlc.embed(c) FROM changes c WHERE c.cursor > @after ORDER BY c.cursor LIMIT @count;

-- name: TenantChangesAfter :many
SELECT sqlc.embed(c) FROM changes c WHERE c.tenant = @tenant AND c.cursor > @after ORDER BY c.cursor LIMIT @count;

-- name: SessionChangesAfter :many
SELECT sqlc.embed(c) FROM changes c
WHERE c.tenant = @tenant AND c.session = @session AND c.cursor > @after
ORDER BY c.version LIMIT @count;

-- name: LastCursor :one
SELECT COALESCE(max(cursor), 0)::bigint FROM changes;

-- name: OutboxBatch :many
SELECT sqlc.embed(c) FROM outbox o JOIN changes c ON c.cursor = o.cursor ORDER BY o.cursor LIMIT @count;

-- name: OutboxDone :exec
DELETE FROM outbox WHERE cursor = ANY (@cursors::bigint[]);
