-- name: ListPending :many
SELECT sqlc.embed(p) FROM pending p
WHERE p.tenant = @tenant AND (@status::text = '' OR p.status = @status) AND p.number > @after
ORDER BY p.number
LIMIT @count;

-- name: GetPending :one
SELECT sqlc.embed(p) FROM pending p WHERE p.tenant = @tenant AND p.id = @id;
