-- +goose Up

-- What stands between the session and its event: an open request of the platform, an answer that Outlook's side waits for,
-- and what Outlook last showed where that is not what the session says. It is one document in the row that readings lock, so
-- that whoever waited for the lock sees it as it is then. Null for nearly all sessions: nothing stands between.
ALTER TABLE sessions ADD COLUMN intent jsonb;

-- A request is open until Outlook has it, or until it lost to what somebody did in Outlook. The row of a session that
-- Outlook had first is there too, and was never open. The version counts what the platform asked for.
ALTER TABLE requests
    ADD COLUMN version       bigint  NOT NULL DEFAULT 1,
    ADD COLUMN bookings      integer NOT NULL DEFAULT 1,
    ADD COLUMN requested_at  timestamptz,
    ADD COLUMN open          boolean NOT NULL DEFAULT false,
    -- When the command is published next, and until when somebody is carrying it out.
    ADD COLUMN publish_due_at timestamptz,
    ADD COLUMN claimed_until timestamptz;

CREATE INDEX requests_due ON requests (publish_due_at) WHERE open;

ALTER TABLE changes ADD COLUMN applied boolean NOT NULL DEFAULT true;

-- What was done in Outlook and waits for the platform's answer. A session has at most one open.
CREATE TABLE pending (
    id          uuid        PRIMARY KEY,
    -- Orders the list; has no other meaning.
    number      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    tenant      text        NOT NULL,
    session     text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('rescheduled', 'cancelled')),
    status      text        NOT NULL CHECK (status IN ('open', 'applied', 'undone', 'withdrawn')),
    before      jsonb       NOT NULL,
    after       jsonb       NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    answered_at timestamptz,
    FOREIGN KEY (tenant, session) REFERENCES sessions (tenant, id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX pending_open ON pending (tenant, session) WHERE status = 'open';
CREATE INDEX pending_tenant ON pending (tenant, number);

ALTER TABLE tenants
    ADD COLUMN callback_paused_until timestamptz,
    ADD COLUMN callback_reason       text NOT NULL DEFAULT '';

-- Sealed; the newest signs, and the older ones sign too until their time is over.
CREATE TABLE callback_secrets (
    id         bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant     text        NOT NULL REFERENCES tenants (id),
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);

-- One secret of a tenant has no end.
CREATE UNIQUE INDEX callback_secrets_newest ON callback_secrets (tenant) WHERE expires_at IS NULL;
CREATE INDEX callback_secrets_tenant ON callback_secrets (tenant, id);

-- Changes on their way to the tenant's own receiver. Only the first of each session is sent; the others wait for it.
CREATE TABLE callback_queue (
    cursor         bigint      PRIMARY KEY,
    tenant         text        NOT NULL,
    session        text        NOT NULL,
    attempts       integer     NOT NULL DEFAULT 0,
    first_tried_at timestamptz,
    due_at         timestamptz NOT NULL,
    claimed_until  timestamptz,
    reason         text        NOT NULL DEFAULT ''
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX callback_queue_session ON callback_queue (tenant, session, cursor);
CREATE INDEX callback_queue_due ON callback_queue (due_at);
CREATE INDEX callback_queue_tenant_due ON callback_queue (tenant, due_at, cursor);

-- Each is used once, and deleted by it.
CREATE TABLE grants (
    nonce       text        PRIMARY KEY,
    kind        text        NOT NULL,
    tenant      text        NOT NULL,
    participant text        NOT NULL DEFAULT '',
    verifier    bytea,
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX grants_expiry ON grants (expires_at);

CREATE TABLE refresh_tokens (
    tenant      text        NOT NULL,
    participant text        NOT NULL,
    sealed      bytea       NOT NULL,
    -- Counts the tokens; one that was obtained with an older token is older.
    version     bigint      NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, participant),
    FOREIGN KEY (tenant, participant) REFERENCES participants (tenant, id) ON DELETE CASCADE
);

CREATE TABLE integration_requests (
    id          uuid        PRIMARY KEY,
    number      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    tenant      text        NOT NULL,
    participant text        NOT NULL,
    status      text        NOT NULL CHECK (status IN ('open', 'approved', 'declined')),
    message     text        NOT NULL DEFAULT '',
    answer      text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    FOREIGN KEY (tenant, participant) REFERENCES participants (tenant, id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX integration_requests_open ON integration_requests (tenant, participant) WHERE status = 'open';
CREATE INDEX integration_requests_tenant ON integration_requests (tenant, number);

-- One letter to the owner of one integration. It tells of everything that came together until it was claimed.
CREATE TABLE mails (
    id            bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant        text        NOT NULL REFERENCES tenants (id),
    kind          text        NOT NULL CHECK (kind IN ('opened', 'recovered', 'expiry')),
    status        text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sending', 'sent', 'dropped')),
    -- For a forecast: what expires, when, and how many days ahead the owner is told.
    subject       text        NOT NULL DEFAULT '',
    expires_at    timestamptz,
    days          integer     NOT NULL DEFAULT 0,
    attempts      integer     NOT NULL DEFAULT 0,
    due_at        timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX mails_due ON mails (due_at) WHERE status = 'queued';
CREATE UNIQUE INDEX mails_forecast ON mails (tenant, subject, expires_at, days) WHERE kind = 'expiry';

-- A time of trouble of a tenant, a mailbox or a receiver of callbacks. It is over when closed_at is set.
CREATE TABLE incidents (
    id             bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant         text        NOT NULL REFERENCES tenants (id),
    scope          text        NOT NULL CHECK (scope IN ('tenant', 'mailbox', 'callback')),
    participant    text        NOT NULL DEFAULT '',
    status         text        NOT NULL,
    reason         text        NOT NULL,
    opened_at      timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz,
    -- The letters that told of it; null when the owner was not told.
    opened_mail    bigint      REFERENCES mails (id),
    recovered_mail bigint      REFERENCES mails (id)
);

CREATE UNIQUE INDEX incidents_open ON incidents (tenant, scope, participant) WHERE closed_at IS NULL;
CREATE INDEX incidents_tenant ON incidents (tenant, id);
CREATE INDEX incidents_opened_mail ON incidents (opened_mail) WHERE opened_mail IS NOT NULL;
CREATE INDEX incidents_recovered_mail ON incidents (recovered_mail) WHERE recovered_mail IS NOT NULL;
