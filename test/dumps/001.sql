CREATE SCHEMA acctflow;
CREATE TABLE acctflow.history (
    version bigint NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    source_offset bigint,
    callback_time_ms bigint,
    pipeline integer,
    applied boolean NOT NULL,
    deleted boolean NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    account_type text COLLATE pg_catalog."C",
    tokens numeric(20,0),
    data json NOT NULL,
    trace text,
    due_at timestamp with time zone
);
CREATE TABLE acctflow.pipelines (
    pipeline integer NOT NULL,
    shard integer NOT NULL,
    token bigint DEFAULT 0 NOT NULL,
    committed_offset bigint,
    indexed bigint DEFAULT 0 NOT NULL,
    stale bigint DEFAULT 0 NOT NULL,
    duplicate bigint DEFAULT 0 NOT NULL,
    conflict bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    without_callback bigint DEFAULT 0 NOT NULL,
    ingested_at timestamp with time zone,
    xid xid8,
    check_offset bigint,
    check_hash bigint,
    owner_pid integer,
    owner_start timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    complete boolean DEFAULT false NOT NULL,
    broken boolean DEFAULT false NOT NULL,
    fingerprint text,
    source text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='50');
CREATE VIEW acctflow.account_updates AS
 SELECT u.id,
    u.version,
    u.account_type,
    u.tokens,
    u.data,
    u.callback_time_ms,
    u.ingested_at,
    u.applied,
    u.deleted,
    p.source,
    u.source_offset,
    u.trace
   FROM (acctflow.history u
     LEFT JOIN acctflow.pipelines p ON ((p.pipeline = u.pipeline)));
CREATE TABLE acctflow.latest (
    version bigint NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    source_offset bigint,
    callback_time_ms bigint,
    previous_version bigint,
    pipeline integer,
    deleted boolean NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    account_type text COLLATE pg_catalog."C",
    tokens numeric(20,0),
    data jsonb NOT NULL
)
WITH (fillfactor='70');
CREATE VIEW acctflow.accounts AS
 SELECT a.id,
    a.account_type,
    a.tokens,
    a.version,
    a.data,
    a.callback_time_ms,
    a.ingested_at,
    p.source,
    a.source_offset
   FROM (acctflow.latest a
     LEFT JOIN acctflow.pipelines p ON ((p.pipeline = a.pipeline)))
  WHERE (NOT a.deleted);
CREATE TABLE acctflow.outcomes (
    version bigint NOT NULL,
    settled_at timestamp with time zone NOT NULL,
    failed boolean NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C"
);
CREATE VIEW acctflow.callbacks AS
 SELECT u.id,
    u.version,
    COALESCE(u.due_at, (u.ingested_at + ((u.callback_time_ms)::double precision * '00:00:00.001'::interval))) AS due_at,
        CASE
            WHEN o.failed THEN 'failed'::text
            WHEN (o.id IS NOT NULL) THEN 'fired'::text
            WHEN (n.version IS NOT NULL) THEN 'cancelled'::text
            ELSE 'pending'::text
        END AS state,
    COALESCE(o.settled_at, n.ingested_at) AS settled_at
   FROM ((acctflow.history u
     LEFT JOIN acctflow.outcomes o ON (((o.id = u.id) AND (o.version = u.version))))
     LEFT JOIN LATERAL ( SELECT n_1.version,
            n_1.ingested_at
           FROM acctflow.history n_1
          WHERE ((n_1.id = u.id) AND (n_1.version > u.version) AND n_1.applied)
          ORDER BY n_1.version
         LIMIT 1) n ON (true))
  WHERE (u.applied AND (u.callback_time_ms IS NOT NULL));
CREATE TABLE acctflow.deliveries (
    pipeline integer NOT NULL,
    owner_pid integer,
    token bigint DEFAULT 0 NOT NULL,
    delivered_offset bigint,
    owner_start timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE acctflow.inputs (
    name text NOT NULL COLLATE pg_catalog."C",
    shards integer NOT NULL,
    seed numeric(20,0),
    arrival text,
    delay_ms text,
    speed text,
    clock text,
    started_at timestamp with time zone
);
CREATE TABLE acctflow.leases (
    source text NOT NULL COLLATE pg_catalog."C",
    shard integer NOT NULL,
    machine text COLLATE pg_catalog."C",
    wanted_by text COLLATE pg_catalog."C",
    changed_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone,
    lag bigint
)
WITH (fillfactor='50');
CREATE TABLE acctflow.machines (
    machine text NOT NULL COLLATE pg_catalog."C",
    until timestamp with time zone NOT NULL,
    joined_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
CREATE VIEW acctflow.fleet AS
 SELECT l.source,
    l.shard,
    i.shards,
    l.machine AS owner,
    p.token,
    m.until,
    l.wanted_by,
    l.changed_at,
    l.done_at,
    p.committed_offset,
    d.delivered_offset,
    l.lag
   FROM ((((acctflow.leases l
     LEFT JOIN acctflow.machines m ON ((m.machine = l.machine)))
     LEFT JOIN acctflow.inputs i ON ((i.name = l.source)))
     LEFT JOIN acctflow.pipelines p ON (((p.source = l.source) AND (p.shard = l.shard))))
     LEFT JOIN acctflow.deliveries d ON ((d.pipeline = p.pipeline)));
CREATE TABLE acctflow.migrations (
    version integer NOT NULL,
    hash bigint NOT NULL,
    migrated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE acctflow.pipelines ALTER COLUMN pipeline ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME acctflow.pipelines_pipeline_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE acctflow.rejects (
    source_offset bigint,
    rejected_at timestamp with time zone NOT NULL,
    raw_bytes bigint NOT NULL,
    pipeline integer,
    kind text NOT NULL,
    reason text NOT NULL,
    raw text NOT NULL,
    raw_encoding text NOT NULL
);
CREATE VIEW acctflow.rejected_updates AS
 SELECT p.source,
    r.source_offset,
    r.kind,
    r.reason,
    r.raw,
    r.raw_bytes,
    r.raw_encoding,
    r.rejected_at
   FROM (acctflow.rejects r
     LEFT JOIN acctflow.pipelines p ON ((p.pipeline = r.pipeline)));
CREATE VIEW acctflow.source_shards AS
 SELECT p.source AS name,
    p.shard,
    i.shards,
    p.pipeline,
    p.committed_offset,
    d.delivered_offset,
    (((((p.indexed + p.stale) + p.duplicate) + p.conflict) + p.skipped) + p.rejected) AS read,
    p.indexed,
    p.stale,
    p.duplicate,
    p.conflict,
    p.skipped,
    p.rejected,
    p.without_callback,
    GREATEST(p.updated_at, d.updated_at) AS updated_at,
    p.complete,
    p.broken,
    p.fingerprint
   FROM ((acctflow.pipelines p
     JOIN acctflow.inputs i ON ((i.name = p.source)))
     JOIN acctflow.deliveries d ON ((d.pipeline = p.pipeline)));
CREATE VIEW acctflow.sources AS
 SELECT i.name,
    s.committed_offset,
    s.delivered_offset,
    s.read,
    s.indexed,
    s.stale,
    s.duplicate,
    s.conflict,
    s.skipped,
    s.rejected,
    s.without_callback,
    s.updated_at,
    s.complete,
    s.broken,
    i.shards,
    i.seed,
    i.arrival,
    i.delay_ms,
    i.speed,
    i.clock,
    s.fingerprint,
    i.started_at
   FROM (acctflow.inputs i
     JOIN ( SELECT source_shards.name,
                CASE
                    WHEN bool_and(source_shards.complete) THEN max(source_shards.committed_offset)
                    WHEN (count(*) FILTER (WHERE ((NOT source_shards.complete) AND (source_shards.committed_offset IS NULL))) = 0) THEN min(source_shards.committed_offset) FILTER (WHERE (NOT source_shards.complete))
                    ELSE NULL::bigint
                END AS committed_offset,
                CASE
                    WHEN bool_and(source_shards.complete) THEN max(source_shards.delivered_offset)
                    WHEN (count(*) FILTER (WHERE ((NOT source_shards.complete) AND (source_shards.delivered_offset IS NULL))) = 0) THEN min(source_shards.delivered_offset) FILTER (WHERE (NOT source_shards.complete))
                    ELSE NULL::bigint
                END AS delivered_offset,
            (sum(source_shards.read))::bigint AS read,
            (sum(source_shards.indexed))::bigint AS indexed,
            (sum(source_shards.stale))::bigint AS stale,
            (sum(source_shards.duplicate))::bigint AS duplicate,
            (sum(source_shards.conflict))::bigint AS conflict,
            (sum(source_shards.skipped))::bigint AS skipped,
            (sum(source_shards.rejected))::bigint AS rejected,
            (sum(source_shards.without_callback))::bigint AS without_callback,
            max(source_shards.updated_at) AS updated_at,
            (bool_and(source_shards.complete) AND (count(*) = max(source_shards.shards))) AS complete,
            bool_or(source_shards.broken) AS broken,
            min(source_shards.fingerprint) AS fingerprint
           FROM acctflow.source_shards
          GROUP BY source_shards.name) s ON ((s.name = i.name)));
COPY acctflow.deliveries (pipeline, owner_pid, token, delivered_offset, owner_start, updated_at) FROM stdin;
1	\N	1	12	\N	2026-11-27 01:49:10.088063+00
2	\N	1	12	\N	2026-11-27 01:49:10.037984+00
\.
COPY acctflow.history (version, ingested_at, source_offset, callback_time_ms, pipeline, applied, deleted, id, account_type, tokens, data, trace, due_at) FROM stdin;
1	2026-11-27 01:49:10.016687+00	0	0	2	t	f	A	mint	10	{"n":1}	\N	\N
3	2026-11-27 01:49:10.016687+00	1	600000	2	t	f	A	mint	12	{"n":3,"text":"é\\n"}	\N	\N
2	2026-11-27 01:49:10.016687+00	2	0	2	f	f	A	mint	11	null	\N	\N
5	2026-11-27 01:49:10.016687+00	6	0	2	t	f	C	mint	3	null	\N	\N
6	2026-11-27 01:49:10.016687+00	7	\N	2	t	t	C	\N	\N	null	\N	\N
1	2026-11-27 01:49:10.016687+00	11	\N	2	t	f	E	metadata	6	null	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"	\N
1	2026-11-27 01:49:10.068649+00	3	0	1	t	f	B	escrow	18446744073709551615	[1,2.50]	\N	\N
1	2026-11-27 01:49:10.068649+00	10	0	1	t	f	refused	metadata	5	null	\N	\N
9	2026-11-27 01:49:10.068649+00	12	600000	1	t	f	F	metadata	8	{"deep":{"er":[{}]}}	\N	\N
\.
COPY acctflow.inputs (name, shards, seed, arrival, delay_ms, speed, clock, started_at) FROM stdin;
s	2	4380323824056104	none	0:1000	1	real	2026-11-27 01:49:09.97399+00
\.
COPY acctflow.latest (version, ingested_at, source_offset, callback_time_ms, previous_version, pipeline, deleted, id, account_type, tokens, data) FROM stdin;
3	2026-11-27 01:49:10.016687+00	1	600000	\N	2	f	A	mint	12	{"n": 3, "text": "é\\n"}
6	2026-11-27 01:49:10.016687+00	7	\N	\N	2	t	C	\N	\N	null
1	2026-11-27 01:49:10.016687+00	11	\N	\N	2	f	E	metadata	6	null
1	2026-11-27 01:49:10.068649+00	3	0	\N	1	f	B	escrow	18446744073709551615	[1, 2.50]
9	2026-11-27 01:49:10.068649+00	12	600000	\N	1	f	F	metadata	8	{"deep": {"er": [{}]}}
1	2026-11-27 01:49:10.068649+00	10	0	\N	1	f	refused	metadata	5	null
\.
COPY acctflow.leases (source, shard, machine, wanted_by, changed_at, done_at, lag) FROM stdin;
\.
COPY acctflow.machines (machine, until, joined_at) FROM stdin;
\.
COPY acctflow.migrations (version, hash, migrated_at) FROM stdin;
1	-4804638893375964453	2026-11-27 01:49:09.834988+00
\.
COPY acctflow.outcomes (version, settled_at, failed, id) FROM stdin;
1	2026-11-27 01:49:10.076634+00	t	refused
1	2026-11-27 01:49:10.076631+00	f	B
\.
COPY acctflow.pipelines (pipeline, shard, token, committed_offset, indexed, stale, duplicate, conflict, skipped, rejected, without_callback, ingested_at, xid, check_offset, check_hash, owner_pid, owner_start, updated_at, complete, broken, fingerprint, source) FROM stdin;
2	0	1	12	5	1	0	0	0	2	2	2026-11-27 01:49:10.016687+00	732	11	4918809105624813253	\N	\N	2026-11-27 01:49:10.016716+00	t	f	1137:b74ad7c1510cb2467af6fdb322e647fa	s
1	1	1	12	3	0	1	1	0	0	0	2026-11-27 01:49:10.068649+00	737	12	-7153125358674659600	\N	\N	2026-11-27 01:49:10.070014+00	t	f	1137:b74ad7c1510cb2467af6fdb322e647fa	s
\.
COPY acctflow.rejects (source_offset, rejected_at, raw_bytes, pipeline, kind, reason, raw, raw_encoding) FROM stdin;
8	2026-11-27 01:49:10.016687+00	74	2	record	tokens: not an integer of digits only, 0 to 18446744073709551615	{"id":"D","accountType":"mint","tokens":-1,"callbackTimeMs":0,"version":1}	utf8
9	2026-11-27 01:49:10.016687+00	8	2	record	unknown word, at byte 1	not JSON	utf8
5	2026-11-27 01:49:10.068649+00	114	1	conflict	version 1 is known with other content	{"source":"s","offset":5,"id":"B","accountType":"escrow","tokens":7,"callbackTimeMs":0,"version":1,"data":"other"}	utf8
\.
SELECT pg_catalog.setval('acctflow.pipelines_pipeline_seq', 2, true);
ALTER TABLE ONLY acctflow.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (pipeline);
ALTER TABLE ONLY acctflow.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY acctflow.inputs
    ADD CONSTRAINT inputs_pkey PRIMARY KEY (name);
ALTER TABLE ONLY acctflow.latest
    ADD CONSTRAINT latest_pkey PRIMARY KEY (id);
ALTER TABLE ONLY acctflow.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (source, shard);
ALTER TABLE ONLY acctflow.machines
    ADD CONSTRAINT machines_pkey PRIMARY KEY (machine);
ALTER TABLE ONLY acctflow.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY acctflow.outcomes
    ADD CONSTRAINT outcomes_pkey PRIMARY KEY (id, version);
ALTER TABLE ONLY acctflow.pipelines
    ADD CONSTRAINT pipelines_pkey PRIMARY KEY (pipeline);
ALTER TABLE ONLY acctflow.pipelines
    ADD CONSTRAINT pipelines_source_shard_key UNIQUE (source, shard);
CREATE INDEX history_ingested_at ON acctflow.history USING brin (ingested_at);
CREATE INDEX rejects_pipeline ON acctflow.rejects USING btree (pipeline, source_offset);
