-- Notes that the sessions of some organizers have changed in a way that may make a subscription wanted or unwanted. A wake
-- (year 1 for the end) makes the row due; otherwise it is only looked at again no later than the session's end.
-- name: TouchSubscriptions :exec
WITH touched AS (
    INSERT INTO subscriptions AS s (tenant, participant, wanted_until)
    SELECT u.tenant, u.participant, NULLIF(u.ends_at, '0001-01-01 00:00:00+00'::timestamptz)
    FROM (
        SELECT unnest(@tenants::text[]) AS tenant, unnest(@participants::text[]) AS participant,
            unnest(@ends::timestamptz[]) AS ends_at
    ) u
    ON CONFLICT (tenant, participant) DO UPDATE SET
        marks = s.marks + 1,
        due_at = CASE WHEN excluded.wanted_until IS NULL THEN LEAST(s.due_at, now()) ELSE s.due_at END,
        wanted_until = LEAST(s.wanted_until, excluded.wanted_until),
        updated_at = now()
    WHERE excluded.wanted_until IS NULL OR s.wanted_until > excluded.wanted_until
    RETURNING 1 AS one
)
SELECT pg_notify('pairsync_subscriptions', '') WHERE EXISTS (SELECT 1 FROM touched);

-- name: LockDueSubscriptions :many
SELECT tenant, participant FROM subscriptions
WHERE look_at <= now()
ORDER BY look_at
LIMIT @count
FOR UPDATE SKIP LOCKED;

-- A statement of its own after the lock: its snapshot sees every session whose change has already been noted on the row.
-- name: ClaimSubscriptions :many
WITH claimed AS (
    UPDATE subscriptions s SET
        claimed_until = now() + @lease::interval, claimed_marks = s.marks,
        wanted_until = (
            SELECT max(x.ends_at) FROM sessions x
            WHERE x.tenant = s.tenant AND x.organizer = s.participant AND x.status = 'scheduled' AND x.ends_at > now()
        )
    FROM (SELECT unnest(@tenants::text[]) AS tenant, unnest(@participants::text[]) AS participant) u
    WHERE s.tenant = u.tenant AND s.participant = u.participant
    RETURNING s.tenant, s.participant, s.wanted_until
)
SELECT sqlc.embed(s), p.email, p.mailbox_id, (c.wanted_until IS NOT NULL)::boolean AS wanted
FROM claimed c
JOIN subscriptions s ON s.tenant = c.tenant AND s.participant = c.participant
JOIN participants p ON p.tenant = c.tenant AND p.id = c.participant
ORDER BY s.look_at;

-- name: NextSubscriptionDue :one
SELECT look_at FROM subscriptions ORDER BY look_at LIMIT 1;

-- What was noted after the claim is kept, and then the row is due at once.
-- name: SaveSubscription :exec
INSERT INTO subscriptions AS s (
    tenant, participant, mailbox_id, graph_id, client_state, state, reason, expires_at, granted_at, reauthorized_at,
    renewed_at, lifecycle, silent, attempts, due_at
) VALUES (
    @tenant, @participant, @mailbox_id, @graph_id, @client_state, @state, @reason, sqlc.narg(expires_at),
    sqlc.narg(granted_at), sqlc.narg(reauthorized_at), sqlc.narg(renewed_at), @lifecycle, @silent, @attempts, @due_at
)
ON CONFLICT (tenant, participant) DO UPDATE SET
    mailbox_id = excluded.mailbox_id, graph_id = excluded.graph_id, client_state = excluded.client_state,
    state = excluded.state, reason = excluded.reason, expires_at = excluded.expires_at,
    granted_at = excluded.granted_at, reauthorized_at = excluded.reauthorized_at, renewed_at = excluded.renewed_at,
    lifecycle = CASE WHEN s.noted_mark > s.claimed_marks AND s.graph_id = excluded.graph_id
        THEN s.lifecycle ELSE excluded.lifecycle END,
    silent = CASE WHEN s.noted_mark > s.claimed_marks AND s.graph_id = excluded.graph_id
        THEN s.silent ELSE excluded.silent END,
    attempts = excluded.attempts,
    due_at = CASE WHEN s.marks > s.claimed_marks THEN LEAST(excluded.due_at, now()) ELSE excluded.due_at END,
    claimed_until = NULL, updated_at = now();

-- name: DeleteSubscription :execrows
DELETE FROM subscriptions WHERE tenant = @tenant AND participant = @participant AND marks = claimed_marks;

-- name: ResetSubscription :exec
UPDATE subscriptions SET
    mailbox_id = '', graph_id = '', client_state = '', state = 'pending', reason = '', expires_at = NULL,
    granted_at = NULL, reauthorized_at = NULL, renewed_at = NULL, lifecycle = '', silent = false, attempts = 0,
    due_at = now(), claimed_until = NULL, updated_at = now()
WHERE tenant = @tenant AND participant = @participant;

-- A removed subscription stays removed whatever else is said of it, and a missed notification is the least: whoever is
-- told of it sweeps the mailbox anyway.
-- name: NoteLifecycle :execrows
UPDATE subscriptions SET
    lifecycle = CASE
        WHEN lifecycle = 'subscriptionRemoved' THEN lifecycle
        WHEN lifecycle = 'reauthorizationRequired' AND @event::text = 'missed' THEN lifecycle
        ELSE @event::text
    END,
    marks = marks + 1, noted_mark = marks + 1, due_at = LEAST(due_at, now()), updated_at = now()
WHERE tenant = @tenant AND graph_id = @graph_id AND graph_id <> '' AND mailbox_id IN ('', @mailbox_id);

-- name: NoteSilence :execrows
UPDATE subscriptions s SET
    silent = true, marks = s.marks + 1, noted_mark = s.marks + 1, due_at = LEAST(s.due_at, now()), updated_at = now()
WHERE s.tenant = @tenant AND s.participant = @participant AND s.state = 'active' AND NOT s.silent
    AND s.granted_at < @changed_at::timestamptz AND @changed_at::timestamptz < now() - @grace::interval
    AND NOT EXISTS (
        SELECT 1 FROM sessions x
        WHERE x.tenant = s.tenant AND x.organizer = s.participant AND x.notified_at >= @changed_at::timestamptz
    );

-- name: NoteSuperseded :execrows
UPDATE subscriptions SET
    silent = true, marks = marks + 1, noted_mark = marks + 1, due_at = LEAST(due_at, now()), updated_at = now()
WHERE tenant = @tenant AND graph_id = ANY (@graph_ids::text[]) AND graph_id <> '' AND NOT silent;

-- name: WakeSubscription :exec
UPDATE subscriptions SET marks = marks + 1, due_at = LEAST(due_at, now()), updated_at = now()
WHERE tenant = @tenant AND participant = @participant;

-- name: NotifySubscriptions :exec
SELECT pg_notify('pairsync_subscriptions', '');
