-- The tables of acctflow. Users query views under the contract's names (views.sql); the tables beneath name a pipeline, one
-- shard of one source, by a small integer. Keys start with the account id, so that the large tables can be
-- distributed by it; ids compare by bytes, which is both faster and the same on every machine. Columns of fixed size come
-- first: no space is lost between them.

-- The highest version of each account, a deleted one's too: it still guards its version.
CREATE TABLE acctflow.latest (
    version          bigint NOT NULL,
    ingested_at      timestamptz NOT NULL,
    source_offset    bigint,
    callback_time_ms bigint,                 -- null: no callback
    previous_version bigint,                 -- the one this replaced: writer reads from it what it won against
    pipeline         integer,
    deleted          boolean NOT NULL,
    id               text COLLATE "C" PRIMARY KEY,
    account_type     text COLLATE "C",
    tokens           numeric(20, 0),
    data             jsonb NOT NULL
) WITH (fillfactor = 70);                    -- the next version fits on the same page (HOT)

-- Every unique (id, version).
CREATE TABLE acctflow.history (
    version          bigint NOT NULL,
    ingested_at      timestamptz NOT NULL,
    source_offset    bigint,
    callback_time_ms bigint,
    pipeline         integer,
    applied          boolean NOT NULL,       -- false: it came after a newer one
    deleted          boolean NOT NULL,
    id               text COLLATE "C" NOT NULL,
    account_type     text COLLATE "C",
    tokens           numeric(20, 0),
    data             json NOT NULL,          -- as it came
    trace            text,                   -- W3C traceparent
    due_at           timestamptz,            -- only where ingested_at had to be raised: when the callback is due by the true time
    PRIMARY KEY (id, version)
);
CREATE INDEX history_ingested_at ON acctflow.history USING brin (ingested_at, source_offset);
CREATE INDEX history_unsourced ON acctflow.history (ingested_at) WHERE pipeline IS NULL;

-- Recorded outcomes of callbacks. Cancelled and pending follow from the history (see the view callbacks).
CREATE TABLE acctflow.outcomes (
    version    bigint NOT NULL,
    settled_at timestamptz NOT NULL,
    failed     boolean NOT NULL,             -- false: fired
    id         text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, version)
);

CREATE TABLE acctflow.rejects (
    source_offset   bigint,
    rejected_at     timestamptz NOT NULL,
    raw_bytes       bigint NOT NULL,         -- how long the whole record was
    reject          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    redriven_offset bigint,                  -- it was read again as this record
    discarded_at    timestamptz,             -- nothing more is to be done about it
    pipeline        integer,
    kind            text NOT NULL,           -- record, refused or conflict
    reason          text NOT NULL,
    raw             text NOT NULL,           -- the beginning of the record
    raw_encoding    text NOT NULL,           -- utf8 or base64
    redriven_as     text COLLATE "C"         -- of this source
);
CREATE INDEX rejects_pipeline ON acctflow.rejects (pipeline, source_offset);
CREATE INDEX rejects_redriven ON acctflow.rejects (redriven_as) WHERE redriven_as IS NOT NULL;

-- One row, always: the state as of a moment before that is no longer known for all accounts.
CREATE TABLE acctflow.retention (
    pruned_before timestamptz NOT NULL
);
INSERT INTO acctflow.retention (pruned_before) VALUES ('-infinity');

-- An input: what reading it again needs.
CREATE TABLE acctflow.inputs (
    name       text COLLATE "C" PRIMARY KEY,
    shards     integer NOT NULL,
    seed       numeric(20, 0),
    arrival    text,
    delay_ms   text,
    speed      text,
    clock      text,
    started_at timestamptz
);

-- A pipeline, in two relations, so that writer and ack never wait for each other's row: how far its writer committed,
CREATE TABLE acctflow.pipelines (
    pipeline         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard            integer NOT NULL,
    token            bigint NOT NULL DEFAULT 0,  -- raised by whoever takes the pipeline over
    committed_offset bigint,
    indexed          bigint NOT NULL DEFAULT 0,
    stale            bigint NOT NULL DEFAULT 0,
    duplicate        bigint NOT NULL DEFAULT 0,
    conflict         bigint NOT NULL DEFAULT 0,
    skipped          bigint NOT NULL DEFAULT 0,  -- a map has nothing for them
    rejected         bigint NOT NULL DEFAULT 0,
    without_callback bigint NOT NULL DEFAULT 0,  -- of those indexed, and not pruned
    pruned           bigint NOT NULL DEFAULT 0,  -- of those indexed: they have left the history,
    pruned_stale     bigint NOT NULL DEFAULT 0,  -- and so have these, of the stale ones;
    pruned_fired     bigint NOT NULL DEFAULT 0,  -- callbacks that have left, by what became of them,
    pruned_failed    bigint NOT NULL DEFAULT 0,
    pruned_cancelled bigint NOT NULL DEFAULT 0,  -- so that totals never fall
    ingested_at      timestamptz,                -- of the last record: times never go back along a source
    xid              xid8,                       -- of the transaction that advanced it last
    check_offset     bigint,                     -- of the last update that was committed,
    check_hash       bigint,                     -- and its hash: the input read again must have the same one there
    owner_pid        integer,
    owner_start      timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    complete         boolean NOT NULL DEFAULT false,
    broken           boolean NOT NULL DEFAULT false, -- the input is an array that broke off
    fingerprint      text,                       -- BYTES:HASH of the input, up to the last record read once `end` came
    source           text COLLATE "C" NOT NULL,
    UNIQUE (source, shard)
) WITH (fillfactor = 50);
-- and how far its events were acknowledged.
CREATE TABLE acctflow.deliveries (
    pipeline         integer PRIMARY KEY,
    owner_pid        integer,
    token            bigint NOT NULL DEFAULT 0,
    delivered_offset bigint,
    owner_start      timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- A fleet: a row for each living run of a supervisor. A machine's leases end with its row; one that was expelled finds none
-- and joins under a new name.
CREATE TABLE acctflow.machines (
    machine   text COLLATE "C" PRIMARY KEY,
    until     timestamptz NOT NULL,          -- of all its leases: a renewal is one row, however many they are
    joined_at timestamptz NOT NULL
) WITH (fillfactor = 50);
-- Who works on which pipeline. Whatever changes either table has locked all rows of machines.
CREATE TABLE acctflow.leases (
    source     text COLLATE "C" NOT NULL,
    shard      integer NOT NULL,
    machine    text COLLATE "C",             -- null: free
    wanted_by  text COLLATE "C",             -- it is handed over to that machine
    changed_at timestamptz NOT NULL,         -- when its machine changed
    done_at    timestamptz,                  -- for the machines that had joined before
    lag        bigint,                       -- messages that Kafka has behind the last one read
    PRIMARY KEY (source, shard)
) WITH (fillfactor = 50);

-- Off ingestion's path, kept by acctflow.tops_follow() whenever richest_at is asked: for each type slices of time,
CREATE TABLE acctflow.top_slices (
    since        timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    members      bigint NOT NULL,            -- so many versions were states when it began
    floor        numeric(20, 0) NOT NULL,
    account_type text COLLATE "C" NOT NULL,
    PRIMARY KEY (account_type, until)
);
-- and the versions that were a state in a slice and have its floor of tokens or more; from when until when.
CREATE TABLE acctflow.tops (
    slice        timestamptz NOT NULL,
    since        timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    version      bigint NOT NULL,
    account_type text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    tokens       numeric(20, 0) NOT NULL,
    PRIMARY KEY (account_type, slice, id, version)
);
CREATE INDEX tops_id ON acctflow.tops (id, until);
-- How far the history is in them.
CREATE TABLE acctflow.top_watermarks (
    pipeline    integer PRIMARY KEY,         -- 0: what came without a source
    taken       bigint NOT NULL,             -- rows of the history
    ingested_at timestamptz NOT NULL,
    xid         xid8
);
