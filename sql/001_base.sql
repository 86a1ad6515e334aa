-- The relations of acctflow. Keys start with the account id, so that they can be distributed by it; ids compare by
-- bytes, which is both faster and the same on every machine.
CREATE TABLE acctflow.accounts (
    id               text COLLATE "C" PRIMARY KEY,
    version          bigint NOT NULL,
    previous_version bigint,                 -- the one this replaced: tells the writer what it won against
    callback_time_ms bigint NOT NULL,
    ingested_at      timestamptz NOT NULL,
    source_offset    bigint,
    tokens           numeric(20, 0) NOT NULL,
    account_type     text COLLATE "C" NOT NULL,
    source           text COLLATE "C",
    data             jsonb NOT NULL
) WITH (fillfactor = 70);                    -- room for the next version on the same page (HOT)

CREATE TABLE acctflow.account_updates (
    id               text COLLATE "C" NOT NULL,
    version          bigint NOT NULL,
    callback_time_ms bigint NOT NULL,
    ingested_at      timestamptz NOT NULL,
    source_offset    bigint,
    applied          boolean NOT NULL,       -- false: it came after a newer one
    tokens           numeric(20, 0) NOT NULL,
    account_type     text COLLATE "C" NOT NULL,
    source           text COLLATE "C",
    trace            text,                   -- W3C traceparent
    data             json NOT NULL,          -- as it came
    PRIMARY KEY (id, version)
);
CREATE INDEX account_updates_ingested_at ON acctflow.account_updates USING brin (ingested_at);

-- Only what fired is recorded; superseded and pending follow from the history (see the view callbacks).
CREATE TABLE acctflow.callbacks_fired (
    id       text COLLATE "C" NOT NULL,
    version  bigint NOT NULL,
    fired_at timestamptz NOT NULL,
    PRIMARY KEY (id, version)
);

CREATE TABLE acctflow.rejected_updates (
    source        text COLLATE "C",
    source_offset bigint,
    reason        text NOT NULL,
    raw           text NOT NULL,             -- the beginning of the record
    raw_encoding  text NOT NULL,             -- utf8 or base64
    raw_bytes     bigint NOT NULL,           -- how long the whole record was
    rejected_at   timestamptz NOT NULL
);
CREATE INDEX rejected_updates_source ON acctflow.rejected_updates (source, source_offset);

-- A source, in three relations, so that writer and settle never wait for each other's row: what it is,
CREATE TABLE acctflow.source_inputs (
    name        text COLLATE "C" PRIMARY KEY,
    seed        numeric(20, 0),
    arrival     text,
    delay_ms    text,
    speed       text,
    clock       text,
    fingerprint text,
    started_at  timestamptz,
    complete    boolean NOT NULL DEFAULT false
);
-- how far each lane of its writer committed,
CREATE TABLE acctflow.source_lanes (
    name             text COLLATE "C" NOT NULL,
    lane             smallint NOT NULL,
    token            bigint NOT NULL DEFAULT 0,  -- raised by whoever takes the source over
    owner_pid        integer,
    owner_start      timestamptz,
    committed_offset bigint,
    indexed          bigint NOT NULL DEFAULT 0,
    stale            bigint NOT NULL DEFAULT 0,
    duplicate        bigint NOT NULL DEFAULT 0,
    conflict         bigint NOT NULL DEFAULT 0,
    rejected         bigint NOT NULL DEFAULT 0,
    ingested_at      timestamptz,                -- of the last record: times never go back along a source
    xid              xid8,                       -- of the transaction that advanced it last
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, lane)
) WITH (fillfactor = 50);
-- and how far its events were delivered.
CREATE TABLE acctflow.source_deliveries (
    name             text COLLATE "C" PRIMARY KEY,
    token            bigint NOT NULL DEFAULT 0,
    delivered_offset bigint,
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE VIEW acctflow.sources AS
SELECT i.name,
       l.committed_offset,
       d.delivered_offset,
       l.indexed + l.stale + l.duplicate + l.conflict + l.rejected AS read,
       l.indexed, l.stale, l.duplicate, l.conflict, l.rejected,
       greatest(l.updated_at, d.updated_at) AS updated_at,
       i.complete, i.seed, i.arrival, i.delay_ms, i.speed, i.clock, i.fingerprint, i.started_at
FROM acctflow.source_inputs i
JOIN (SELECT name,
             CASE WHEN count(*) = count(committed_offset) THEN min(committed_offset) END AS committed_offset,
             sum(indexed)::bigint AS indexed, sum(stale)::bigint AS stale, sum(duplicate)::bigint AS duplicate,
             sum(conflict)::bigint AS conflict, sum(rejected)::bigint AS rejected, max(updated_at) AS updated_at
      FROM acctflow.source_lanes GROUP BY name) l ON l.name = i.name
LEFT JOIN acctflow.source_deliveries d ON d.name = i.name;

-- Every version that was indexed has one outcome: fired if recorded fired, else cancelled if superseded, else pending.
CREATE VIEW acctflow.callbacks AS
SELECT u.id,
       u.version,
       u.ingested_at + u.callback_time_ms * interval '1 millisecond' AS due_at,
       CASE WHEN f.fired_at IS NOT NULL THEN 'fired' WHEN n.version IS NOT NULL THEN 'cancelled' ELSE 'pending' END AS state,
       coalesce(f.fired_at, n.ingested_at) AS settled_at
FROM acctflow.account_updates u
LEFT JOIN acctflow.callbacks_fired f ON f.id = u.id AND f.version = u.version
LEFT JOIN LATERAL (SELECT n.version, n.ingested_at
                   FROM acctflow.account_updates n
                   WHERE n.id = u.id AND n.version > u.version AND n.applied
                   ORDER BY n.version LIMIT 1) n ON true
WHERE u.applied;
