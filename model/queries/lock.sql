-- name: TryLock :one
SELECT pg_try_advisory_lock(hashtextextended('pairsync/' || @name::text, 0));
