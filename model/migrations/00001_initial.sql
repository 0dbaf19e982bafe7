-- +goose Up

CREATE TABLE tenants (
    id                text        PRIMARY KEY,
    name              text        NOT NULL,
    owner_email       text        NOT NULL,
    method            text        NOT NULL CHECK (method IN ('domain_wide', 'per_user')),
    callback_url      text        NOT NULL DEFAULT '',
    policy_reschedule text        NOT NULL DEFAULT 'apply' CHECK (policy_reschedule IN ('apply', 'ask', 'notify')),
    policy_cancel     text        NOT NULL DEFAULT 'apply' CHECK (policy_cancel IN ('apply', 'ask', 'notify')),
    status            text        NOT NULL DEFAULT 'pending_consent'
        CHECK (status IN ('pending_consent', 'connected', 'failing', 'disconnected')),
    status_reason     text        NOT NULL DEFAULT '',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE participants (
    tenant           text        NOT NULL REFERENCES tenants (id),
    id               text        NOT NULL,
    email            text        NOT NULL,
    name             text        NOT NULL DEFAULT '',
    availability     jsonb       NOT NULL DEFAULT '[]',
    mailbox_id       text        NOT NULL DEFAULT '',
    mailbox_status   text        NOT NULL DEFAULT 'unknown'
        CHECK (mailbox_status IN ('unknown', 'ok', 'unreachable', 'needs_sign_in')),
    mailbox_reason   text        NOT NULL DEFAULT '',
    -- How often in a row the mailbox was found unreadable, and when it is tried next. Failures before that time are
    -- the same failure seen through another session, and don't count.
    mailbox_attempts integer     NOT NULL DEFAULT 0,
    mailbox_probe_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id)
);

CREATE INDEX participants_mailbox ON participants (tenant, mailbox_id) WHERE mailbox_id <> '';
CREATE INDEX participants_email ON participants (tenant, lower(email));

-- Each reading rewrites its row, so the row holds what readings need and as few indexes as the look-ups allow.
CREATE TABLE sessions (
    tenant              text        NOT NULL,
    id                  text        NOT NULL,
    status              text        NOT NULL CHECK (status IN ('scheduled', 'cancelled')),
    organizer           text        NOT NULL,
    starts_at           timestamptz NOT NULL,
    ends_at             timestamptz NOT NULL,
    time_zone           text        NOT NULL,
    title               text        NOT NULL,
    online_meeting      text        NOT NULL,
    join_url            text        NOT NULL DEFAULT '',
    attendees           jsonb       NOT NULL DEFAULT '[]',
    event_id            text,
    ical_uid            text        NOT NULL DEFAULT '',
    change_key          text        NOT NULL DEFAULT '',
    series_master_id    text,
    original_start      timestamptz,
    last_modified_at    timestamptz,
    read_at             timestamptz,
    vanished            boolean     NOT NULL DEFAULT false,
    state               text        NOT NULL CHECK (state IN ('pending', 'in_sync', 'unreachable', 'conflict')),
    version             bigint      NOT NULL,
    verified_at         timestamptz,
    -- When the newest notification of this session that led to a reading was received.
    notified_at         timestamptz,
    -- When the session must be compared with Outlook again; null when it never must be: it is over.
    verify_due_at       timestamptz,
    -- Why, and since when if somebody asked: a reading that began before that does not answer the request.
    verify_cause        text        NOT NULL DEFAULT 'sweep',
    verify_requested_at timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, organizer) REFERENCES participants (tenant, id)
) WITH (fillfactor = 80);

-- One event is one session; occurrences of a series have event ids of their own.
CREATE UNIQUE INDEX sessions_event ON sessions (tenant, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX sessions_series ON sessions (tenant, series_master_id) WHERE series_master_id IS NOT NULL;
CREATE INDEX sessions_organizer ON sessions (tenant, organizer, ends_at);
CREATE INDEX sessions_start ON sessions (tenant, starts_at, id);
CREATE INDEX sessions_due ON sessions (verify_due_at) WHERE verify_due_at IS NOT NULL;

-- What the platform last asked of a session, apart from the session because Outlook may have changed that since: a
-- repeated request must be known as a repetition.
CREATE TABLE requests (
    tenant  text  NOT NULL,
    session text  NOT NULL,
    wanted  jsonb NOT NULL,
    PRIMARY KEY (tenant, session),
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, id) ON DELETE CASCADE
);

-- The order of cursors is the order of commits: they are drawn under a lock that is held to the end of the transaction.
CREATE SEQUENCE changes_cursor AS bigint;

CREATE TABLE changes (
    cursor      bigint      PRIMARY KEY,
    id          uuid        NOT NULL,
    tenant      text        NOT NULL,
    session     text        NOT NULL,
    version     bigint      NOT NULL,
    kind        text        NOT NULL,
    source      text        NOT NULL,
    cause       text        NOT NULL,
    before      jsonb,
    after       jsonb,
    participant text        NOT NULL DEFAULT '',
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    applied_at  timestamptz NOT NULL
);

-- A session's history, and the last guard against one change told twice.
CREATE UNIQUE INDEX changes_session ON changes (tenant, session, version);
CREATE INDEX changes_tenant ON changes (tenant, cursor);

-- What the relay has yet to publish. It is emptied as fast as it fills, so it is vacuumed by count and not by share.
CREATE TABLE outbox (
    cursor bigint PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE TABLE subscriptions (
    tenant          text        NOT NULL,
    participant     text        NOT NULL,
    mailbox_id      text        NOT NULL DEFAULT '',
    graph_id        text        NOT NULL DEFAULT '',
    client_state    text        NOT NULL DEFAULT '',
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'active', 'expired', 'failing')),
    reason          text        NOT NULL DEFAULT '',
    expires_at      timestamptz,
    granted_at      timestamptz,
    reauthorized_at timestamptz,
    renewed_at      timestamptz,
    lifecycle       text        NOT NULL DEFAULT '',
    silent          boolean     NOT NULL DEFAULT false,
    attempts        bigint      NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL DEFAULT now(),
    -- When the last upcoming session ends, as far as is known: never later than the truth, so that looking again at
    -- that time finds a subscription which is not wanted any more. Null when there is no such session.
    wanted_until    timestamptz,
    claimed_until   timestamptz,
    -- Counts what others have noted on the row. A holder of the lease whose count is out of date must look again.
    marks           bigint      NOT NULL DEFAULT 0,
    claimed_marks   bigint      NOT NULL DEFAULT 0,
    -- The count at which lifecycle or silent was last set.
    noted_mark      bigint      NOT NULL DEFAULT 0,
    look_at         timestamptz NOT NULL GENERATED ALWAYS AS (GREATEST(LEAST(due_at, wanted_until), claimed_until)) STORED,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, participant),
    FOREIGN KEY (tenant, participant) REFERENCES participants (tenant, id)
);

CREATE INDEX subscriptions_look ON subscriptions (look_at);
CREATE INDEX subscriptions_graph ON subscriptions (tenant, graph_id) WHERE graph_id <> '';
CREATE INDEX subscriptions_expiry ON subscriptions (expires_at) WHERE state = 'active';
