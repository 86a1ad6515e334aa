-- Made by test/dumps/make.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA acctflow;

CREATE FUNCTION acctflow.account_history(account text) RETURNS TABLE(id text, version bigint, deleted boolean, account_type text, tokens numeric, callback_time_ms bigint, data json, ingested_at timestamp with time zone, due_at timestamp with time zone, state text, settled_at timestamp with time zone, superseded_by bigint, changes jsonb, source text, source_offset bigint, trace text)
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN QUERY WITH u AS MATERIALIZED (
        SELECT u.*, n.version AS superseded_by, n.ingested_at AS superseded_at, o.failed, o.settled_at,
               p.account_type AS type_before, p.tokens AS tokens_before, p.data AS data_before, p.version AS version_before
        FROM acctflow.history u
        LEFT JOIN acctflow.outcomes o ON o.id = account AND o.version = u.version
        LEFT JOIN LATERAL (SELECT n.version, n.ingested_at FROM acctflow.history n
                           WHERE n.id = account AND n.version > u.version AND n.applied ORDER BY n.version LIMIT 1) n ON true
        LEFT JOIN LATERAL (SELECT n.* FROM acctflow.history n
                           WHERE n.id = account AND n.version < u.version AND n.applied ORDER BY n.version DESC LIMIT 1) p ON u.applied
        WHERE u.id = account
    )
    SELECT u.id, u.version, u.deleted, u.account_type, u.tokens, u.callback_time_ms, u.data, u.ingested_at, c.due_at,
           CASE WHEN NOT u.applied THEN 'stale' WHEN u.callback_time_ms IS NULL THEN NULL WHEN u.failed THEN 'failed'
                WHEN u.settled_at IS NOT NULL THEN 'fired' WHEN u.superseded_at IS NOT NULL THEN 'cancelled' ELSE 'pending' END,
           c.settled_at, CASE WHEN u.applied THEN u.superseded_by END,
           CASE WHEN u.version_before IS NOT NULL THEN
               acctflow.changes(to_jsonb(u.type_before), to_jsonb(u.account_type), '/accountType')
               || acctflow.changes(to_jsonb(u.tokens_before), to_jsonb(u.tokens), '/tokens')
               || acctflow.changes(u.data_before::jsonb, u.data::jsonb, '/data') END,
           s.source, u.source_offset, u.trace
    FROM u
    LEFT JOIN acctflow.pipelines s ON s.pipeline = u.pipeline
    LEFT JOIN LATERAL (SELECT coalesce(u.due_at, u.ingested_at + u.callback_time_ms * interval '1 millisecond') AS due_at,
                              coalesce(u.settled_at, u.superseded_at) AS settled_at) c
           ON u.applied AND u.callback_time_ms IS NOT NULL;
END
$$;

CREATE FUNCTION acctflow.accounts_at(t timestamp with time zone, account text DEFAULT NULL::text) RETURNS TABLE(id text, account_type text, tokens numeric, version bigint, data json, callback_time_ms bigint, ingested_at timestamp with time zone, source text, source_offset bigint)
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    PERFORM acctflow.moment_known(t);
    IF account IS NULL THEN
        RETURN QUERY
            SELECT a.id, a.account_type, a.tokens, a.version, a.data, a.callback_time_ms, a.ingested_at, p.source, a.source_offset
            FROM (SELECT DISTINCT ON (u.id) u.* FROM acctflow.history u WHERE u.ingested_at <= t ORDER BY u.id, u.version DESC) a
            LEFT JOIN acctflow.pipelines p ON p.pipeline = a.pipeline
            WHERE NOT a.deleted;
    ELSE
        RETURN QUERY
            SELECT a.id, a.account_type, a.tokens, a.version, a.data, a.callback_time_ms, a.ingested_at, p.source, a.source_offset
            FROM (SELECT u.* FROM acctflow.history u WHERE u.id = account AND u.ingested_at <= t ORDER BY u.version DESC LIMIT 1) a
            LEFT JOIN acctflow.pipelines p ON p.pipeline = a.pipeline
            WHERE NOT a.deleted;
    END IF;
END
$$;

CREATE FUNCTION acctflow.accounts_diff(t1 timestamp with time zone, t2 timestamp with time zone) RETURNS TABLE(id text, change text, version_before bigint, version bigint, account_type_before text, account_type text, tokens_before numeric, tokens numeric, changes jsonb)
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    PERFORM acctflow.moment_known(least(t1, t2));
    RETURN QUERY
        SELECT k.id, CASE WHEN a.version IS NULL OR a.deleted THEN 'added' WHEN b.version IS NULL OR b.deleted THEN 'removed' ELSE 'changed' END,
               a.version, b.version, a.account_type, b.account_type, a.tokens, b.tokens, acctflow.changes(a.data::jsonb, b.data::jsonb, '/data')
        FROM (SELECT DISTINCT u.id FROM acctflow.history u
              WHERE u.ingested_at > least(t1, t2) AND u.ingested_at <= greatest(t1, t2)) k
        LEFT JOIN LATERAL (SELECT u.* FROM acctflow.history u WHERE u.id = k.id AND u.ingested_at <= t1
                           ORDER BY u.version DESC LIMIT 1) a ON true
        LEFT JOIN LATERAL (SELECT u.* FROM acctflow.history u WHERE u.id = k.id AND u.ingested_at <= t2
                           ORDER BY u.version DESC LIMIT 1) b ON true
        WHERE a.version IS DISTINCT FROM b.version AND NOT (coalesce(a.deleted, true) AND coalesce(b.deleted, true));
END
$$;

CREATE FUNCTION acctflow.changes(a jsonb, b jsonb, path text DEFAULT ''::text, depth integer DEFAULT 30) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF a IS NOT DISTINCT FROM b THEN
        RETURN '[]';
    ELSIF depth > 0 AND jsonb_typeof(a) = 'object' AND jsonb_typeof(b) = 'object' THEN
        RETURN (SELECT coalesce(jsonb_agg(c ORDER BY k.key, n), '[]')
                FROM (SELECT jsonb_object_keys(a) AS key UNION SELECT jsonb_object_keys(b)) k
                CROSS JOIN LATERAL jsonb_array_elements(acctflow.changes(
                    a -> k.key, b -> k.key, path || '/' || replace(replace(k.key, '~', '~0'), '/', '~1'), depth - 1))
                    WITH ORDINALITY c (c, n));
    ELSIF depth > 0 AND jsonb_typeof(a) = 'array' AND jsonb_typeof(b) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(c ORDER BY k.i, n), '[]')
                FROM generate_series(0, greatest(jsonb_array_length(a), jsonb_array_length(b)) - 1) k (i)
                CROSS JOIN LATERAL jsonb_array_elements(acctflow.changes(a -> k.i, b -> k.i, path || '/' || k.i, depth - 1))
                    WITH ORDINALITY c (c, n));
    END IF;
    RETURN jsonb_build_array(jsonb_build_object('path', path)
                             || CASE WHEN b IS NULL THEN '{}' ELSE jsonb_build_object('value', b) END
                             || CASE WHEN a IS NULL THEN '{}' ELSE jsonb_build_object('before', a) END);
END
$$;

CREATE FUNCTION acctflow.changes_line(changes jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT to_jsonb(string_agg(CASE WHEN c.value ? 'value' THEN (c.value ->> 'path') || coalesce(' ' || (c.value -> 'before')::text || ' →', '')
                                                                || ' ' || (c.value -> 'value')::text
                                    ELSE '-' || (c.value ->> 'path') END, ', ' ORDER BY c.n))
    FROM jsonb_array_elements(changes) WITH ORDINALITY c (value, n)
$$;

CREATE FUNCTION acctflow.moment_known(t timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    pruned_before CONSTANT timestamptz := (SELECT r.pruned_before FROM acctflow.retention r);
BEGIN
    IF t < pruned_before THEN
        RAISE EXCEPTION 'versions were pruned: states are known from % on', to_char(pruned_before AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION acctflow.richest_at(t timestamp with time zone, n integer DEFAULT 1, of_type text DEFAULT NULL::text) RETURNS TABLE(account_type text, place bigint, tokens numeric, version bigint, id text, data json)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    indexed CONSTANT boolean := NOT pg_catalog.pg_is_in_recovery() AND pg_catalog.current_setting('transaction_read_only') = 'off'
                                AND pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NULL;
    short text[]; -- the types of which the history must be asked
BEGIN
    PERFORM acctflow.moment_known(t);
    IF indexed THEN
        PERFORM acctflow.tops_follow();
        SELECT array_agg(s.account_type) INTO short
        FROM acctflow.top_slices s
        WHERE s.since <= t AND s.until > t AND s.floor > 0 AND (of_type IS NULL OR s.account_type = of_type)
          AND n > (SELECT count(DISTINCT o.id) FROM acctflow.tops o
                   WHERE o.account_type = s.account_type AND o.slice = s.since AND o.since <= t AND o.until > t);
        RETURN QUERY
            SELECT r.account_type, r.place, r.tokens, r.version, r.id, u.data
            FROM (SELECT a.account_type, rank() OVER (PARTITION BY a.account_type ORDER BY a.tokens DESC) AS place,
                         a.tokens, a.version, a.id
                  FROM acctflow.top_slices s
                  CROSS JOIN LATERAL (SELECT DISTINCT ON (o.id) o.account_type, o.tokens, o.version, o.id
                                      FROM acctflow.tops o
                                      WHERE o.account_type = s.account_type AND o.slice = s.since AND o.since <= t AND o.until > t
                                      ORDER BY o.id, o.version DESC) a
                  WHERE s.since <= t AND s.until > t AND (of_type IS NULL OR s.account_type = of_type)
                    AND (short IS NULL OR s.account_type <> ALL (short))) r
            JOIN acctflow.history u ON u.id = r.id AND u.version = r.version
            WHERE r.place <= n;
    ELSIF of_type IS NOT NULL THEN
        short := ARRAY[of_type];
    END IF;
    IF short IS NOT NULL OR NOT indexed THEN
        RETURN QUERY
            SELECT r.* FROM (SELECT a.account_type, rank() OVER (PARTITION BY a.account_type ORDER BY a.tokens DESC) AS place,
                                    a.tokens, a.version, a.id, a.data
                             FROM acctflow.accounts_at(t) a WHERE short IS NULL OR a.account_type = ANY (short)) r
            WHERE r.place <= n;
    END IF;
END
$$;

CREATE FUNCTION acctflow.source_moment(source text, at_offset bigint) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    pipelines CONSTANT integer[] := ARRAY(SELECT p.pipeline FROM acctflow.pipelines p
                                          WHERE p.source = source_moment.source AND p.committed_offset IS NOT NULL);
    moment timestamptz;
BEGIN
    IF at_offset > coalesce((SELECT max(p.committed_offset) FROM acctflow.pipelines p WHERE p.pipeline = ANY (pipelines)), -1) THEN
        RETURN NULL;
    END IF;
    SELECT u.ingested_at INTO moment FROM acctflow.history u
    WHERE u.pipeline = ANY (pipelines) AND u.source_offset BETWEEN at_offset - 1000 AND at_offset ORDER BY u.source_offset DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT u.ingested_at INTO moment FROM acctflow.history u
        WHERE u.pipeline = ANY (pipelines) AND u.source_offset <= at_offset ORDER BY u.source_offset DESC LIMIT 1;
    END IF;
    RETURN coalesce(moment, (SELECT i.started_at FROM acctflow.inputs i WHERE i.name = source_moment.source));
END
$$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE acctflow.top_slices (
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    members bigint NOT NULL,
    floor numeric(20,0) NOT NULL,
    account_type text NOT NULL COLLATE pg_catalog."C"
);

CREATE FUNCTION acctflow.tops_divide(t timestamp with time zone, divided acctflow.top_slices, new_floor numeric) RETURNS void
    LANGUAGE sql
    AS $$
    UPDATE acctflow.top_slices s SET until = t WHERE s.account_type = divided.account_type AND s.since = divided.since;
    INSERT INTO acctflow.tops (account_type, slice, tokens, id, version, since, until)
    SELECT o.account_type, t, o.tokens, o.id, o.version, o.since, o.until
    FROM acctflow.tops o
    WHERE o.account_type = divided.account_type AND o.slice = divided.since AND o.until > t AND o.tokens >= new_floor;
    INSERT INTO acctflow.top_slices (account_type, since, until, floor, members)
    SELECT divided.account_type, t, divided.until, new_floor, count(*)
    FROM acctflow.tops o WHERE o.account_type = divided.account_type AND o.slice = t AND o.since <= t;
    DELETE FROM acctflow.tops o WHERE o.account_type = divided.account_type AND o.slice = divided.since AND o.since >= t;
    UPDATE acctflow.tops o SET until = t WHERE o.account_type = divided.account_type AND o.slice = divided.since AND o.until > t
$$;

CREATE FUNCTION acctflow.tops_follow() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    many CONSTANT integer := 20000; -- rows at a time, about
    next record;
    since timestamptz;
    upto timestamptz;
    remaining bigint;
    rows bigint;
BEGIN
    PERFORM pg_advisory_xact_lock('acctflow.top_watermarks'::regclass::oid::bigint);
    INSERT INTO acctflow.top_watermarks (pipeline, ingested_at, taken) VALUES (0, '-infinity', 0) ON CONFLICT DO NOTHING;
    IF EXISTS (SELECT FROM acctflow.pipelines p WHERE p.ingested_at IS NOT NULL
               AND NOT EXISTS (SELECT FROM acctflow.top_watermarks w WHERE w.pipeline = p.pipeline)) THEN
        -- One without a version yet has none before its last record, either.
        INSERT INTO acctflow.top_watermarks (pipeline, ingested_at, taken)
        SELECT p.pipeline, coalesce(u.first, p.ingested_at), 0
        FROM acctflow.pipelines p
        LEFT JOIN (SELECT u.pipeline, min(u.ingested_at) AS first FROM acctflow.history u GROUP BY u.pipeline) u ON u.pipeline = p.pipeline
        WHERE p.ingested_at IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
    FOR next IN
        SELECT w.pipeline, w.ingested_at AS since, p.ingested_at AS upto, p.xid, p.indexed + p.stale AS taken,
               p.indexed + p.stale - w.taken AS remaining
        FROM acctflow.pipelines p JOIN acctflow.top_watermarks w ON w.pipeline = p.pipeline
        WHERE p.xid IS DISTINCT FROM w.xid
        UNION ALL
        SELECT 0, CASE WHEN w.taken > 0 AND w.taken = u.before THEN w.ingested_at ELSE u.first END, u.last, NULL, u.taken, u.taken
        FROM acctflow.top_watermarks w
        CROSS JOIN LATERAL (SELECT count(*) AS taken, min(u.ingested_at) AS first, max(u.ingested_at) AS last,
                                   count(*) FILTER (WHERE u.ingested_at <= w.ingested_at) AS before
                            FROM acctflow.history u WHERE u.pipeline IS NULL) u
        WHERE w.pipeline = 0 AND w.taken <> u.taken
    LOOP
        since := next.since;
        remaining := next.remaining;
        LOOP
            -- The first slices are small ones: their floor is not raised yet.
            rows := least(many, 1000 + next.taken - remaining);
            upto := least(next.upto, CASE WHEN remaining > rows
                                          THEN since + greatest(interval '1 microsecond', (next.upto - since) * (rows::float8 / remaining)) END);
            UPDATE acctflow.top_watermarks w SET ingested_at = upto WHERE w.pipeline = next.pipeline;
            PERFORM acctflow.tops_take(next.pipeline, since, upto);
            EXIT WHEN upto >= next.upto;
            since := upto;
            remaining := remaining - rows;
        END LOOP;
        UPDATE acctflow.top_watermarks w SET xid = next.xid, taken = next.taken WHERE w.pipeline = next.pipeline;
    END LOOP;
END
$$;

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

CREATE FUNCTION acctflow.tops_new(p integer, first_at timestamp with time zone, last_at timestamp with time zone) RETURNS SETOF acctflow.history
    LANGUAGE sql STABLE
    AS $$
    SELECT u.* FROM acctflow.history u
    WHERE u.pipeline IS NOT DISTINCT FROM nullif(p, 0) AND u.ingested_at BETWEEN first_at AND last_at
$$;

CREATE FUNCTION acctflow.tops_take(p integer, first_at timestamp with time zone, last_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_custom_plan'
    SET jit TO 'off'
    AS $$
DECLARE
    few CONSTANT integer := 64; -- states that a slice begins with where its floor was raised; four times as many raise it
    t CONSTANT timestamptz := last_at + interval '1 microsecond';
    newest CONSTANT boolean := NOT EXISTS (SELECT FROM acctflow.top_watermarks w WHERE w.ingested_at >= t);
    grown record;
    raised numeric;
BEGIN
    INSERT INTO acctflow.top_slices (account_type, since, until, floor, members)
    SELECT DISTINCT u.account_type, '-infinity'::timestamptz, 'infinity'::timestamptz, 0, 0
    FROM acctflow.tops_new(p, first_at, last_at) u
    WHERE NOT u.deleted AND NOT EXISTS (SELECT FROM acctflow.top_slices s WHERE s.account_type = u.account_type);

    -- A version ends the times of the account's lower ones.
    UPDATE acctflow.tops o SET until = e.until
    FROM (SELECT o.account_type, o.slice, o.id, o.version, min(u.ingested_at) AS until
          FROM acctflow.tops_new(p, first_at, last_at) u
          CROSS JOIN LATERAL (SELECT o.* FROM acctflow.tops o
                              WHERE o.id = u.id AND o.version < u.version AND o.until > u.ingested_at OFFSET 0) o
          GROUP BY o.account_type, o.slice, o.id, o.version) e
    WHERE o.account_type = e.account_type AND o.slice = e.slice AND o.id = e.id AND o.version = e.version;

    -- Its own time ends with the first of the higher ones, of those that were taken in.
    INSERT INTO acctflow.tops (account_type, slice, tokens, id, version, since, until)
    SELECT n.account_type, s.since, n.tokens, n.id, n.version, n.ingested_at, least(n.until, s.until)
    FROM (SELECT u.account_type, u.tokens, u.id, u.version, u.ingested_at, u.pipeline, u.deleted,
                 min(u.ingested_at) OVER (PARTITION BY u.id ORDER BY u.version DESC
                                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until
          FROM (SELECT u.id, min(u.version) AS version
                FROM acctflow.tops_new(p, first_at, last_at) u
                WHERE NOT u.deleted AND EXISTS (SELECT FROM acctflow.top_slices s
                                                WHERE s.account_type = u.account_type AND s.until > u.ingested_at AND s.floor <= u.tokens)
                GROUP BY u.id) k
          CROSS JOIN LATERAL (SELECT u.* FROM acctflow.history u WHERE u.id = k.id AND u.version >= k.version OFFSET 0) u
          JOIN acctflow.top_watermarks w ON w.pipeline = coalesce(u.pipeline, 0) AND u.ingested_at <= w.ingested_at) n
    CROSS JOIN LATERAL (SELECT s.* FROM acctflow.top_slices s
                        WHERE s.account_type = n.account_type AND s.until > n.ingested_at AND s.floor <= n.tokens
                          AND s.since < coalesce(n.until, 'infinity') OFFSET 0) s
    WHERE n.pipeline IS NOT DISTINCT FROM nullif(p, 0) AND n.ingested_at BETWEEN first_at AND last_at AND NOT n.deleted
      AND n.ingested_at < coalesce(n.until, 'infinity')
    ON CONFLICT (account_type, slice, id, version) DO UPDATE SET until = excluded.until;

    -- A slice that has grown is divided, where this pipeline is now; with a higher floor where there are states enough, with
    -- a lower one where there are few and nothing later was taken in yet.
    FOR grown IN
        SELECT s, o.states, o.kept
        FROM (SELECT DISTINCT u.account_type FROM acctflow.tops_new(p, first_at, last_at) u) u
        JOIN acctflow.top_slices s ON s.account_type = u.account_type AND s.since < t AND s.until > t
        CROSS JOIN LATERAL (SELECT count(*) AS kept, count(*) FILTER (WHERE o.since <= t AND o.until > t) AS states
                            FROM acctflow.tops o WHERE o.account_type = s.account_type AND o.slice = s.since) o
        WHERE o.kept > 2 * s.members + 300 OR (s.floor > 0 AND newest AND o.states < few / 2)
    LOOP
        SELECT o.tokens INTO raised
        FROM acctflow.tops o
        WHERE o.account_type = (grown.s).account_type AND o.slice = (grown.s).since AND o.since <= t AND o.until > t
          AND grown.states > 4 * few
        ORDER BY o.tokens DESC OFFSET few LIMIT 1;
        PERFORM acctflow.tops_divide(t, grown.s, coalesce(raised, (grown.s).floor));
        CONTINUE WHEN (grown.s).floor = 0 OR grown.states >= few / 2 OR NOT newest;
        WITH states AS MATERIALIZED (
            SELECT a.* FROM acctflow.latest l
            CROSS JOIN LATERAL (SELECT l.tokens, l.id, l.version, l.ingested_at WHERE l.ingested_at < t AND NOT l.deleted AND l.account_type = (grown.s).account_type
                                UNION ALL
                                (SELECT u.tokens, u.id, u.version, u.ingested_at
                                 FROM (SELECT u.* FROM acctflow.history u
                                       WHERE l.ingested_at >= t AND u.id = l.id AND u.ingested_at < t ORDER BY u.version DESC LIMIT 1) u
                                 WHERE NOT u.deleted AND u.account_type = (grown.s).account_type)) a
        ), lowered AS (
            UPDATE acctflow.top_slices s
            SET floor = coalesce((SELECT a.tokens FROM states a ORDER BY a.tokens DESC OFFSET 4 * few LIMIT 1), 0), members = 4 * few
            WHERE s.account_type = (grown.s).account_type AND s.since = t
            RETURNING s.floor
        )
        INSERT INTO acctflow.tops (account_type, slice, tokens, id, version, since, until)
        SELECT (grown.s).account_type, t, a.tokens, a.id, a.version, a.ingested_at, 'infinity'
        FROM states a, lowered WHERE a.tokens >= lowered.floor
        ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;

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
    pruned bigint DEFAULT 0 NOT NULL,
    pruned_stale bigint DEFAULT 0 NOT NULL,
    pruned_fired bigint DEFAULT 0 NOT NULL,
    pruned_failed bigint DEFAULT 0 NOT NULL,
    pruned_cancelled bigint DEFAULT 0 NOT NULL,
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
    oldest integer NOT NULL,
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
    reject bigint NOT NULL,
    redriven_offset bigint,
    discarded_at timestamp with time zone,
    pipeline integer,
    kind text NOT NULL,
    reason text NOT NULL,
    raw text NOT NULL,
    raw_encoding text NOT NULL,
    redriven_as text COLLATE pg_catalog."C"
);

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
    p.pruned,
    p.pruned_stale,
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
    s.pruned,
    s.pruned_stale,
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
                    WHEN (count(*) FILTER (WHERE (source_shards.delivered_offset IS NULL)) = 0) THEN min(source_shards.delivered_offset)
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
            (sum(source_shards.pruned))::bigint AS pruned,
            (sum(source_shards.pruned_stale))::bigint AS pruned_stale,
            max(source_shards.updated_at) AS updated_at,
            (bool_and(source_shards.complete) AND (count(*) = max(source_shards.shards))) AS complete,
            bool_or(source_shards.broken) AS broken,
            min(source_shards.fingerprint) AS fingerprint
           FROM acctflow.source_shards
          GROUP BY source_shards.name) s ON ((s.name = i.name)));

CREATE VIEW acctflow.rejected_updates AS
 SELECT p.source,
    r.source_offset,
    r.kind,
    r.reason,
    r.raw,
    r.raw_bytes,
    r.raw_encoding,
    r.rejected_at,
        CASE
            WHEN (r.discarded_at IS NOT NULL) THEN 'discarded'::text
            WHEN (r.redriven_as IS NULL) THEN NULL::text
            WHEN u.applied THEN 'indexed'::text
            WHEN (NOT u.applied) THEN 'stale'::text
            WHEN (u.kind = 'conflict'::text) THEN 'conflict'::text
            WHEN (u.kind IS NOT NULL) THEN 'rejected'::text
            WHEN ((s.committed_offset IS NULL) OR (s.committed_offset < r.redriven_offset)) THEN 'pending'::text
            WHEN (s.skipped = 0) THEN 'duplicate'::text
            WHEN (s.duplicate = 0) THEN 'skipped'::text
            ELSE 'duplicate or skipped'::text
        END AS became,
    r.redriven_as,
    r.redriven_offset,
    r.discarded_at
   FROM (((acctflow.rejects r
     LEFT JOIN acctflow.pipelines p ON ((p.pipeline = r.pipeline)))
     LEFT JOIN acctflow.sources s ON ((s.name = r.redriven_as)))
     LEFT JOIN ( SELECT q.source,
            h.source_offset,
            h.applied,
            NULL::text AS kind
           FROM ((acctflow.pipelines q
             JOIN acctflow.inputs i ON ((i.name = q.source)))
             JOIN acctflow.history h ON (((h.pipeline = q.pipeline) AND ((h.ingested_at >= (i.started_at - '01:00:00'::interval)) AND (h.ingested_at <= q.ingested_at)))))
          WHERE (q.source IN ( SELECT rejects.redriven_as
                   FROM acctflow.rejects
                  WHERE (rejects.redriven_as IS NOT NULL)))
        UNION ALL
         SELECT q.source,
            x.source_offset,
            NULL::boolean AS applied,
            x.kind
           FROM (acctflow.pipelines q
             JOIN acctflow.rejects x ON ((x.pipeline = q.pipeline)))
          WHERE (q.source IN ( SELECT rejects.redriven_as
                   FROM acctflow.rejects
                  WHERE (rejects.redriven_as IS NOT NULL)))) u ON (((u.source = r.redriven_as) AND (u.source_offset = r.redriven_offset))));

ALTER TABLE acctflow.rejects ALTER COLUMN reject ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME acctflow.rejects_reject_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE acctflow.retention (
    pruned_before timestamp with time zone NOT NULL
);

CREATE TABLE acctflow.top_watermarks (
    pipeline integer NOT NULL,
    taken bigint NOT NULL,
    ingested_at timestamp with time zone NOT NULL,
    xid xid8
);

CREATE TABLE acctflow.tops (
    slice timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    version bigint NOT NULL,
    account_type text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    tokens numeric(20,0) NOT NULL
);

COPY acctflow.deliveries (pipeline, owner_pid, token, delivered_offset, owner_start, updated_at) FROM stdin;
1	\N	1	69	\N	2000-01-01 00:00:00+00
2	\N	2	59	\N	2000-01-01 00:00:00+00
3	\N	2	59	\N	2000-01-01 00:00:00+00
4	\N	2	2	\N	2000-01-01 00:00:00+00
5	\N	0	\N	\N	2000-01-01 00:00:00+00
\.

COPY acctflow.history (version, ingested_at, source_offset, callback_time_ms, pipeline, applied, deleted, id, account_type, tokens, data, trace, due_at) FROM stdin;
0	2000-01-01 00:00:00.721+00	0	3740	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	171	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
1	2000-01-01 00:00:01.371+00	1	7435	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	9	{"img":"https://arweave.net/oDRuiWjykMCfR9Ddas8HGUuD8HNU11tVXpjNqJT3jfx"}	\N	\N
0	2000-01-01 00:00:01.92+00	2	3368	1	f	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	550	{"img":"https://arweave.net/dLLYuKCTRPSNQBy26UwQpzHaeFqwqGtKGZDSb2oHJxE"}	\N	\N
3	2000-01-01 00:00:02.872+00	4	1964	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	427	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
5	2000-01-01 00:00:03.055+00	5	8634	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	398	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
0	2000-01-01 00:00:03.97+00	6	3011	1	t	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	745	{"mintId":"SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}	\N	\N
2	2000-01-01 00:00:04.872+00	7	8484	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	861	{"expiry":-1,"currentBid":932}	\N	\N
2	2000-01-01 00:00:05.735+00	8	21	1	t	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh	auction	929	{"expiry":-1,"currentBid":118}	\N	\N
2	2000-01-01 00:00:05.885+00	9	5003	1	t	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD	escrow	339	{"expiry":-1,"currentBid":774}	\N	\N
2	2000-01-01 00:00:06.797+00	10	2709	1	t	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe	account	510	{}	\N	\N
3	2000-01-01 00:00:07.234+00	11	8635	1	t	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe	account	991	{}	\N	\N
4	2000-01-01 00:00:07.244+00	12	7670	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	112	{"expiry":-1,"currentBid":657}	\N	\N
1	2000-01-01 00:00:07.438+00	13	2368	1	t	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	13	{}	\N	\N
6	2000-01-01 00:00:09.137+00	15	9162	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	169	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
4	2000-01-01 00:00:10.444+00	17	743	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	589	{"img":"https://arweave.net/txpdTa6HWCRzLUABUBXCLW8UtMYPY6kMmyWPLPUeH6o"}	\N	\N
7	2000-01-01 00:00:10.761+00	18	2592	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	211	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
3	2000-01-01 00:00:11.701+00	19	4338	1	t	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	188	{"mintId":"SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}	\N	\N
10	2000-01-01 00:00:12.586+00	21	1122	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	902	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
5	2000-01-01 00:00:13.267+00	22	4895	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	384	{"img":"https://arweave.net/Lt8MrB9k5n1nnrFqdhwV6Rpy8pwoKHZ42mJCTA66HqY"}	\N	\N
3	2000-01-01 00:00:13.705+00	23	7114	1	t	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD	escrow	794	{"expiry":-1,"currentBid":801}	\N	\N
3	2000-01-01 00:00:14.48+00	24	2624	1	f	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	118	{"expiry":-1,"currentBid":690}	\N	\N
6	2000-01-01 00:00:15.124+00	25	2489	1	t	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe	account	477	{}	\N	\N
0	2000-01-01 00:00:16.098+00	26	2044	1	t	f	tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH	mint	171	{"mintId":"tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH"}	\N	\N
5	2000-01-01 00:00:17.028+00	27	9408	1	t	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	632	{"mintId":"SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}	\N	\N
11	2000-01-01 00:00:17.505+00	28	3249	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	574	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
6	2000-01-01 00:00:18.438+00	29	6177	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	700	{"img":"https://arweave.net/J8QiuNoSAh5gKvoD23WRWEN5AnkxW5qqYedkcXfmqPV"}	\N	\N
7	2000-01-01 00:00:19.117+00	30	3217	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	46	{"img":"https://arweave.net/qYiGFkwvVbUwLxRQGJkHCxQvqbArVGuJK1UVmShGJeY"}	\N	\N
13	2000-01-01 00:00:20.026+00	31	9482	1	t	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	562	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
4	2000-01-01 00:00:20.321+00	32	4525	1	f	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	648	{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}	\N	\N
10	2000-01-01 00:00:20.645+00	33	9081	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	767	{"img":"https://arweave.net/TDcWYPHv8PTtenSoqQzs97gvPsAdA8AgYG5g36FR6Ca"}	\N	\N
6	2000-01-01 00:00:21.602+00	34	5966	1	t	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	475	{"mintId":"SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}	\N	\N
7	2000-01-01 00:00:22.305+00	36	7483	1	t	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe	account	193	{}	\N	\N
4	2000-01-01 00:00:23.111+00	37	3542	1	f	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	961	{"mintId":"SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}	\N	\N
13	2000-01-01 00:00:23.712+00	38	6658	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	920	{"img":"https://arweave.net/By92vS6BKo8csYxdBaCgLnD4FJ5pD37aZqMgunF56gk"}	\N	\N
2	2000-01-01 00:00:24.672+00	39	4571	1	t	f	Avf2AkrGrgRtYESso5fp5H8ZkWPU7imickBkW2hhTzSN	masterEdition	265	{"img":"https://arweave.net/xsuJWso1wuriNbCyRHnSqv1n9sZj3FwAb1Apr3nd834"}	\N	\N
5	2000-01-01 00:00:25.488+00	40	6123	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	7	{"expiry":-1,"currentBid":719}	\N	\N
8	2000-01-01 00:00:25.749+00	41	8119	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	698	{"expiry":-1,"currentBid":818}	\N	\N
3	2000-01-01 00:00:26.336+00	42	4982	1	t	f	tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH	mint	469	{"mintId":"tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH"}	\N	\N
1	2000-01-01 00:00:26.564+00	43	6343	1	t	f	z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn	metadata	105	{"mintId":"z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn"}	\N	\N
14	2000-01-01 00:00:27.065+00	44	6421	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	389	{"img":"https://arweave.net/Ettq3XidWa5L3Qd1sfM8oxk1QyNj13qmz14aYsnxsBp"}	\N	\N
3	2000-01-01 00:00:27.826+00	45	1932	1	t	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	2	{}	\N	\N
3	2000-01-01 00:00:28.561+00	46	7185	1	t	f	Avf2AkrGrgRtYESso5fp5H8ZkWPU7imickBkW2hhTzSN	masterEdition	883	{"img":"https://arweave.net/R7qfr7bEG4s8y9hWqzxqdz5iP6mLZDL1ahDPNej9CEr"}	\N	\N
1	2000-01-01 00:00:28.79+00	47	3893	1	f	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD	escrow	518	{"expiry":-1,"currentBid":506}	\N	\N
0	2000-01-01 00:00:00.721+00	0	3474	3	t	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM	metadata	672	{"mintId":"9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM"}	\N	\N
17	2000-01-01 00:00:29.2+00	48	5173	1	t	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	337	{"img":"https://arweave.net/AKoBzMLE6rJsZ9D8j9ZkyX9MKT5odG2gSQ5F3dFybg3"}	\N	\N
1	2000-01-01 00:00:29.681+00	49	7408	1	t	f	mMhr6ey7dLS4RwmpPXHVcXMWNYR5kkHhco3SHydE9pEq	auction	882	{"expiry":-1,"currentBid":702}	\N	\N
3	2000-01-01 00:00:30.637+00	50	8439	1	t	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh	auction	974	{"expiry":-1,"currentBid":58}	\N	\N
8	2000-01-01 00:00:31.471+00	51	5639	1	t	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	531	{"mintId":"SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}	\N	\N
4	2000-01-01 00:00:32.238+00	53	153	1	t	f	Avf2AkrGrgRtYESso5fp5H8ZkWPU7imickBkW2hhTzSN	masterEdition	532	{"img":"https://arweave.net/KRAih9jaTFGqL8AQJUeppKAf475ZC1LM3xbyK2EQMur"}	\N	\N
0	2000-01-01 00:00:33.209+00	55	7474	1	f	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	681	{}	\N	\N
11	2000-01-01 00:00:33.857+00	56	5958	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	744	{"expiry":-1,"currentBid":640}	\N	\N
5	2000-01-01 00:00:34.715+00	57	5806	1	t	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh	auction	924	{"expiry":-1,"currentBid":381}	\N	\N
3	2000-01-01 00:00:34.884+00	58	6606	1	t	f	z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn	metadata	40	{"mintId":"z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn"}	\N	\N
5	2000-01-01 00:00:35.681+00	59	3843	1	t	f	z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn	metadata	760	{"mintId":"z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn"}	\N	\N
14	2000-01-01 00:00:35.818+00	60	2785	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	346	{"expiry":-1,"currentBid":23}	\N	\N
6	2000-01-01 00:00:36.124+00	61	375	1	t	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	770	{}	\N	\N
8	2000-01-01 00:00:36.149+00	62	9225	1	t	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh	auction	812	{"expiry":-1,"currentBid":367}	\N	\N
9	2000-01-01 00:00:37.042+00	63	8224	1	t	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh	auction	790	{"expiry":-1,"currentBid":965}	\N	\N
8	2000-01-01 00:00:37.713+00	64	5889	1	t	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe	account	41	{}	\N	\N
8	2000-01-01 00:00:38.003+00	65	9647	1	t	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	866	{}	\N	\N
7	2000-01-01 00:00:38.63+00	66	2031	1	t	f	z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn	metadata	764	{"mintId":"z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn"}	\N	\N
17	2000-01-01 00:00:38.94+00	67	999	1	t	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	758	{"expiry":-1,"currentBid":486}	\N	\N
9	2000-01-01 00:00:39.544+00	68	5686	1	t	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	779	{}	\N	\N
5	2000-01-01 00:00:40.162+00	69	6614	1	t	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD	escrow	588	{"expiry":-1,"currentBid":770}	\N	\N
1	2000-01-01 00:00:01.92+00	2	915	2	t	f	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	mint	729	{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}	\N	\N
4	2000-01-01 00:00:03.055+00	5	6550	2	t	f	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	mint	318	{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}	\N	\N
2	2000-01-01 00:00:07.234+00	11	2294	2	t	f	STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h	metadata	228	{"mintId":"STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h"}	\N	\N
5	2000-01-01 00:00:07.244+00	12	\N	2	t	t	STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h	\N	\N	{"mintId":"STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h"}	\N	\N
8	2000-01-01 00:00:07.438+00	13	2191	2	t	f	STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h	metadata	589	{"mintId":"STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h"}	\N	\N
7	2000-01-01 00:00:09.137+00	15	\N	2	t	t	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	\N	\N	{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}	\N	\N
2	2000-01-01 00:00:10.444+00	17	8434	2	t	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	141	{}	\N	\N
1	2000-01-01 00:00:11.701+00	19	4827	2	t	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	697	{"expiry":-1,"currentBid":358}	\N	\N
4	2000-01-01 00:00:11.817+00	20	2845	2	t	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	846	{"expiry":-1,"currentBid":616}	\N	\N
6	2000-01-01 00:00:13.705+00	23	\N	2	t	t	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	\N	\N	{"expiry":-1,"currentBid":607}	\N	\N
8	2000-01-01 00:00:16.098+00	26	1127	2	t	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	850	{"expiry":-1,"currentBid":891}	\N	\N
3	2000-01-01 00:00:17.505+00	28	5754	2	t	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	876	{}	\N	\N
0	2000-01-01 00:00:18.438+00	29	7672	2	t	f	ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC	mint	836	{"mintId":"ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC"}	\N	\N
8	2000-01-01 00:00:19.117+00	30	8883	2	t	f	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	mint	366	{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}	\N	\N
9	2000-01-01 00:00:20.321+00	32	7281	2	t	f	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	mint	51	{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}	\N	\N
3	2000-01-01 00:00:21.602+00	34	\N	2	t	t	ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC	\N	\N	{"mintId":"ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC"}	\N	\N
5	2000-01-01 00:00:23.111+00	37	9561	2	t	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	8	{}	\N	\N
10	2000-01-01 00:00:24.672+00	39	\N	2	t	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	881	{"expiry":-1,"currentBid":892}	\N	\N
11	2000-01-01 00:00:25.749+00	41	408	2	t	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	935	{"expiry":-1,"currentBid":912}	\N	\N
11	2000-01-01 00:00:27.065+00	44	\N	2	t	t	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	\N	\N	{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}	\N	\N
0	2000-01-01 00:00:28.561+00	46	\N	2	f	t	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	\N	\N	{"expiry":-1,"currentBid":567}	\N	\N
12	2000-01-01 00:00:28.79+00	47	\N	2	t	t	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	869	{"expiry":-1,"currentBid":124}	\N	\N
7	2000-01-01 00:00:30.637+00	50	5380	2	t	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	49	{}	\N	\N
8	2000-01-01 00:00:31.471+00	51	\N	2	t	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	369	{}	\N	\N
5	2000-01-01 00:00:32.238+00	53	9390	2	f	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	891	{"expiry":-1,"currentBid":866}	\N	\N
1	2000-01-01 00:00:32.786+00	54	6042	2	f	f	STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h	metadata	648	{"mintId":"STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h"}	\N	\N
6	2000-01-01 00:00:34.715+00	57	\N	2	t	f	ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC	mint	591	{"mintId":"ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC"}	\N	\N
11	2000-01-01 00:00:35.681+00	59	9417	2	t	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	860	{}	\N	\N
1	2000-01-01 00:00:01.371+00	1	4491	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	762	{"img":"https://arweave.net/2TuEdBLu6y3dLTe89ugzq2cyNaCXHvHRZgUZUSTTMVW"}	\N	\N
2	2000-01-01 00:00:04.872+00	7	2607	3	t	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM	metadata	4	{"mintId":"9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM"}	\N	\N
4	2000-01-01 00:00:05.735+00	8	8977	3	t	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM	metadata	756	{"mintId":"9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM"}	\N	\N
4	2000-01-01 00:00:05.885+00	9	7287	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	276	{"img":"https://arweave.net/GXxmRTdS5A8rbfL6cKDCm65tKZ6Kz63KYQctjm3hvow"}	\N	\N
5	2000-01-01 00:00:06.797+00	10	7402	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	517	{"img":"https://arweave.net/yqxy35HZspyrRCg5inUuhaahkC5src9A8jN4XxDRy9v"}	\N	\N
7	2000-01-01 00:00:08.307+00	14	1721	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	701	{"img":"https://arweave.net/PxSaejXwyK8Wm2wTrK9BoVJo5KQ2Q6qtRXWooACtrEJ"}	\N	\N
1	2000-01-01 00:00:10.131+00	16	1062	3	t	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo	escrow	648	{"expiry":-1,"currentBid":653}	\N	\N
3	2000-01-01 00:00:13.267+00	22	2549	3	f	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	774	{"img":"https://arweave.net/HoN3SvTPoHuxGWDQUUbFCqb5UHTB5fDbx829o1uNtRt"}	\N	\N
3	2000-01-01 00:00:14.48+00	24	5846	3	t	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo	escrow	315	{"expiry":-1,"currentBid":353}	\N	\N
8	2000-01-01 00:00:15.124+00	25	5419	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	378	{"img":"https://arweave.net/HHfUzxa1wvqL9DGRpmTTFsac4GXgMeAPpDNUQLWNHDh"}	\N	\N
5	2000-01-01 00:00:17.028+00	27	6724	3	t	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo	escrow	788	{"expiry":-1,"currentBid":808}	\N	\N
11	2000-01-01 00:00:20.026+00	31	5460	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	29	{"img":"https://arweave.net/Bzdu9xgU6t9TFdweb6cdL7iz6aiCDxjeTs3RpiBRGWF"}	\N	\N
5	2000-01-01 00:00:22.169+00	35	3925	3	t	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM	metadata	901	{"mintId":"9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM"}	\N	\N
12	2000-01-01 00:00:22.305+00	36	7654	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	948	{"img":"https://arweave.net/2gCKnCypQ6ByY2iLXwUSHdmNL2Nm7fyQ87D9Tgnnh6F"}	\N	\N
8	2000-01-01 00:00:27.826+00	45	9734	3	t	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM	metadata	101	{"mintId":"9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM"}	\N	\N
8	2000-01-01 00:00:29.2+00	48	697	3	t	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo	escrow	42	{"expiry":-1,"currentBid":150}	\N	\N
14	2000-01-01 00:00:33.209+00	55	8579	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	883	{"img":"https://arweave.net/aADmfKXqNp8LuuFB8F7bKgbqEjTRdRRuFXNgcTLCRb8"}	\N	\N
16	2000-01-01 00:00:33.857+00	56	9340	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	713	{"img":"https://arweave.net/HZDpigZgJaZgmSWLnA91qBvS38a5kHzCSzSzYYqyNvX"}	\N	\N
17	2000-01-01 00:00:34.884+00	58	\N	3	t	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	292	{"img":"https://arweave.net/Jgmv5ud1dbLNyGQh2VwtJ7C11BjavW1TSbh9kwdkAYE"}	\N	\N
1	2000-01-01 00:00:00.721+00	0	100	4	t	f	refused-1	mint	1	null	\N	\N
2	2000-01-01 00:00:01.371+00	1	100	4	t	f	refused-2	mint	2	null	\N	\N
3	2000-01-01 00:00:01.92+00	2	100	4	t	f	refused-3	mint	3	null	\N	\N
1	2000-01-01 00:00:00.721+00	0	1000	5	t	f	waiting-1	mint	1	null	\N	\N
2	2000-01-01 00:00:01.371+00	1	1000	5	t	f	waiting-2	mint	2	null	\N	\N
3	2000-01-01 00:00:01.92+00	2	1000	5	t	f	waiting-3	mint	3	null	\N	\N
1	2000-01-01 00:00:00+00	\N	\N	\N	t	f	nowhere	mint	1	null	\N	\N
\.

COPY acctflow.inputs (name, shards, seed, arrival, delay_ms, speed, clock, started_at) FROM stdin;
sample	1	7	gap	0:1000	1	virtual	2000-01-01 00:00:00+00
made	2	7	gap	0:1000	1	virtual	2000-01-01 00:00:00+00
refused	1	7	gap	0:1000	1	virtual	2000-01-01 00:00:00+00
waiting	1	7	gap	0:1000	1	virtual	2000-01-01 00:00:00+00
\.

COPY acctflow.latest (version, ingested_at, source_offset, callback_time_ms, previous_version, pipeline, deleted, id, account_type, tokens, data) FROM stdin;
4	2000-01-01 00:00:32.238+00	53	153	\N	1	f	Avf2AkrGrgRtYESso5fp5H8ZkWPU7imickBkW2hhTzSN	masterEdition	532	{"img": "https://arweave.net/KRAih9jaTFGqL8AQJUeppKAf475ZC1LM3xbyK2EQMur"}
5	2000-01-01 00:00:40.162+00	69	6614	\N	1	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD	escrow	588	{"expiry": -1, "currentBid": 770}
9	2000-01-01 00:00:37.042+00	63	8224	\N	1	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh	auction	790	{"expiry": -1, "currentBid": 965}
8	2000-01-01 00:00:31.471+00	51	5639	\N	1	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA	mint	531	{"mintId": "SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA"}
8	2000-01-01 00:00:37.713+00	64	5889	\N	1	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe	account	41	{}
13	2000-01-01 00:00:20.026+00	31	9482	\N	1	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg	metadata	562	{"mintId": "XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}
17	2000-01-01 00:00:38.94+00	67	999	\N	1	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC	auctionData	758	{"expiry": -1, "currentBid": 486}
1	2000-01-01 00:00:29.681+00	49	7408	\N	1	f	mMhr6ey7dLS4RwmpPXHVcXMWNYR5kkHhco3SHydE9pEq	auction	882	{"expiry": -1, "currentBid": 702}
3	2000-01-01 00:00:26.336+00	42	4982	\N	1	f	tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH	mint	469	{"mintId": "tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH"}
9	2000-01-01 00:00:39.544+00	68	5686	\N	1	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB	account	779	{}
17	2000-01-01 00:00:29.2+00	48	5173	\N	1	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr	masterEdition	337	{"img": "https://arweave.net/AKoBzMLE6rJsZ9D8j9ZkyX9MKT5odG2gSQ5F3dFybg3"}
7	2000-01-01 00:00:38.63+00	66	2031	\N	1	f	z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn	metadata	764	{"mintId": "z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn"}
11	2000-01-01 00:00:27.065+00	44	\N	\N	2	t	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E	\N	\N	{"mintId": "388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}
8	2000-01-01 00:00:07.438+00	13	2191	\N	2	f	STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h	metadata	589	{"mintId": "STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h"}
6	2000-01-01 00:00:34.715+00	57	\N	\N	2	f	ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC	mint	591	{"mintId": "ShDVAZ8fom9Y6KqMfLZFeuQai9s553tkRG1UrFPVdgXC"}
11	2000-01-01 00:00:35.681+00	59	9417	\N	2	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A	account	860	{}
12	2000-01-01 00:00:28.79+00	47	\N	\N	2	t	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u	auction	869	{"expiry": -1, "currentBid": 124}
8	2000-01-01 00:00:29.2+00	48	697	\N	3	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo	escrow	42	{"expiry": -1, "currentBid": 150}
8	2000-01-01 00:00:27.826+00	45	9734	\N	3	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM	metadata	101	{"mintId": "9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM"}
17	2000-01-01 00:00:34.884+00	58	\N	\N	3	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w	masterEdition	292	{"img": "https://arweave.net/Jgmv5ud1dbLNyGQh2VwtJ7C11BjavW1TSbh9kwdkAYE"}
1	2000-01-01 00:00:00.721+00	0	100	\N	4	f	refused-1	mint	1	null
2	2000-01-01 00:00:01.371+00	1	100	\N	4	f	refused-2	mint	2	null
3	2000-01-01 00:00:01.92+00	2	100	\N	4	f	refused-3	mint	3	null
1	2000-01-01 00:00:00.721+00	0	1000	\N	5	f	waiting-1	mint	1	null
2	2000-01-01 00:00:01.371+00	1	1000	\N	5	f	waiting-2	mint	2	null
3	2000-01-01 00:00:01.92+00	2	1000	\N	5	f	waiting-3	mint	3	null
1	2000-01-01 00:00:00+00	\N	\N	\N	\N	f	nowhere	mint	1	null
\.

COPY acctflow.leases (source, shard, machine, wanted_by, changed_at, done_at, lag) FROM stdin;
\.

COPY acctflow.machines (machine, until, joined_at) FROM stdin;
\.

COPY acctflow.migrations (version, hash, oldest, migrated_at) FROM stdin;
1	-9022853551636320250	1	2000-01-01 00:00:00+00
\.

COPY acctflow.outcomes (version, settled_at, failed, id) FROM stdin;
4	2000-01-01 00:00:32.391+00	f	Avf2AkrGrgRtYESso5fp5H8ZkWPU7imickBkW2hhTzSN
2	2000-01-01 00:00:10.888+00	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD
3	2000-01-01 00:00:20.819+00	f	EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD
2	2000-01-01 00:00:05.756+00	f	JVoXaCARCT7sjwqrFgYKrBQvML8dPgzSi4sqzTgdiaRh
0	2000-01-01 00:00:06.981+00	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA
3	2000-01-01 00:00:16.039+00	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA
6	2000-01-01 00:00:27.568+00	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA
8	2000-01-01 00:00:37.11+00	f	SWzgQFimXsRZHpWCrH9wanNXT4ujNir1bab8LuanvhcA
6	2000-01-01 00:00:17.613+00	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe
7	2000-01-01 00:00:29.788+00	f	ULGNpgM3hXdvNvofKuTK1LRgzL8pYvvjN8zg1jn5kAXe
10	2000-01-01 00:00:13.708+00	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg
13	2000-01-01 00:00:29.508+00	f	XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg
4	2000-01-01 00:00:14.914+00	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC
14	2000-01-01 00:00:38.603+00	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC
17	2000-01-01 00:00:39.939+00	f	kzXseVikxvoZbFNPrQTLpHNkeKPhEWenfFyjtjXUoLVC
1	2000-01-01 00:00:37.089+00	f	mMhr6ey7dLS4RwmpPXHVcXMWNYR5kkHhco3SHydE9pEq
0	2000-01-01 00:00:18.142+00	f	tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH
3	2000-01-01 00:00:31.318+00	f	tMw3rGYCJYNDHZ5rjDpEwCBUWYvhmisUAPn29HNqcAaH
1	2000-01-01 00:00:09.806+00	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB
3	2000-01-01 00:00:29.758+00	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB
6	2000-01-01 00:00:36.499+00	f	wRsBxeQQcJHP3Lj6x5S1QCMvMKC8UtAVWwcDJTKARWnB
1	2000-01-01 00:00:08.806+00	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr
4	2000-01-01 00:00:11.187+00	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr
5	2000-01-01 00:00:18.162+00	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr
17	2000-01-01 00:00:34.373+00	f	ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr
1	2000-01-01 00:00:32.907+00	f	z4jxxUw6DGExQk1eeCLk7ebufRxzKnwjro6Ev4vqVrNn
1	2000-01-01 00:00:02.835+00	f	388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E
8	2000-01-01 00:00:09.629+00	f	STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h
11	2000-01-01 00:00:45.098+00	f	k3Bp9Y6x9C856kYMVLfBQPSn9Zk4XYKiNAS9iZumeK5A
8	2000-01-01 00:00:17.225+00	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u
11	2000-01-01 00:00:26.157+00	f	pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u
1	2000-01-01 00:00:11.193+00	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo
5	2000-01-01 00:00:23.752+00	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo
8	2000-01-01 00:00:29.897+00	f	1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo
0	2000-01-01 00:00:04.195+00	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM
4	2000-01-01 00:00:14.712+00	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM
5	2000-01-01 00:00:26.094+00	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM
8	2000-01-01 00:00:37.56+00	f	9ayzknUdJRBdbg6mdjZNvkjPuU3Tp6iKAs7DE9T7cGJM
1	2000-01-01 00:00:05.862+00	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w
7	2000-01-01 00:00:10.028+00	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w
12	2000-01-01 00:00:29.959+00	f	wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w
1	2000-01-01 00:00:00.821+00	t	refused-1
2	2000-01-01 00:00:01.471+00	f	refused-2
3	2000-01-01 00:00:02.02+00	t	refused-3
\.

COPY acctflow.pipelines (pipeline, shard, token, committed_offset, indexed, stale, duplicate, conflict, skipped, rejected, without_callback, pruned, pruned_stale, pruned_fired, pruned_failed, pruned_cancelled, ingested_at, xid, check_offset, check_hash, owner_pid, owner_start, updated_at, complete, broken, fingerprint, source) FROM stdin;
3	1	2	59	19	1	2	2	0	0	1	0	0	0	0	0	2000-01-01 00:00:34.884+00	747	58	-2362379965721890906	\N	\N	2000-01-01 00:00:00+00	t	f	10498:986e8c65b34c05acf490752d0b50b7ed	made
1	0	1	69	57	6	3	2	0	2	0	0	0	0	0	0	2000-01-01 00:00:40.162+00	729	69	-3604255307195698646	\N	\N	2000-01-01 00:00:00+00	f	f	28938:6a7f4663ffb77bc8756b7043dd1851f8	sample
4	0	2	2	3	0	0	0	0	0	0	0	0	0	0	0	2000-01-01 00:00:01.92+00	757	2	-6767397337382052880	\N	\N	2000-01-01 00:00:00+00	t	f	252:a2af86f86ebd86fb892a06dfcd51cc58	refused
2	0	2	59	25	3	3	3	0	2	9	0	0	0	0	0	2000-01-01 00:00:35.681+00	741	59	-6495604228143650512	\N	\N	2000-01-01 00:00:00+00	t	f	10498:986e8c65b34c05acf490752d0b50b7ed	made
5	0	1	2	3	0	0	0	0	0	0	0	0	0	0	0	2000-01-01 00:00:01.92+00	767	2	-3505343955274803602	\N	\N	2000-01-01 00:00:00+00	t	f	255:fb3ea1da374b512217e83139ab52d00e	waiting
\.

COPY acctflow.rejects (source_offset, rejected_at, raw_bytes, reject, redriven_offset, discarded_at, pipeline, kind, reason, raw, raw_encoding, redriven_as) FROM stdin;
3	2000-01-01 00:00:02.524+00	256	1	\N	\N	1	conflict	version 0 is known with other content	{"source":"sample","offset":3,"id":"ystBxMqPRCWDWvVmxccvDpx2PXn37TatN6FFLpvGAwZr","accountType":"masterEdition","tokens":551,"callbackTimeMs":3368,"version":0,"data":{"img":"https://arweave.net/dLLYuKCTRPSNQBy26UwQpzHaeFqwqGtKGZDSb2oHJxE"},"arriveMs":2524}	utf8	\N
14	2000-01-01 00:00:08.307+00	236	2	\N	\N	1	conflict	version 5 is known with other content	{"source":"sample","offset":14,"id":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg","accountType":"metadata","tokens":399,"callbackTimeMs":8634,"version":5,"data":{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"},"arriveMs":8307}	utf8	\N
35	2000-01-01 00:00:22.169+00	245	3	\N	\N	1	record	version: missing	{\n    "id": "Avf2AkrGrgRtYESso5fp5H8ZkWPU7imickBkW2hhTzSN",\n    "accountType": "masterEdition",\n    "tokens": 140,\n    "callbackTimeMs": 3276,\n    "data": {\n      "img": "https://arweave.net/eWXkHmouBXgFVAoFmLFgGXSepvFn6LDrSs1BYtRLSc8"\n    }\n  }	utf8	\N
54	2000-01-01 00:00:32.786+00	200	4	\N	\N	1	record	version: missing	{\n    "id": "EYoFPxF7aDNpN5XgBepsPwrkxoAeJVLZZhbNaYHRzyLD",\n    "accountType": "escrow",\n    "tokens": 66,\n    "callbackTimeMs": 883,\n    "data": {\n      "expiry": -1,\n      "currentBid": 20\n    }\n  }	utf8	\N
4	2000-01-01 00:00:02.872+00	187	5	\N	\N	2	conflict	version 1 is known with other content	{"source":"made","offset":4,"id":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E","accountType":"mint","tokens":729,"callbackTimeMs":915,"version":1,"data":{"conflict":414},"arriveMs":2872}	utf8	\N
21	2000-01-01 00:00:12.586+00	106	6	\N	\N	2	record	version: missing	{"id":"twz2dSku8wc566VPdzzQ8cg3WntUNxyX7M5sdXh6FctY","deleted":true,"data":{"expiry":-1,"currentBid":768}}	utf8	\N
40	2000-01-01 00:00:25.488+00	174	7	\N	\N	2	record	version: missing	{"id":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E","accountType":"mint","tokens":963,"callbackTimeMs":8251,"data":{"mintId":"388fKnVdQD5fRuh9qk1sY8vAv4V5DkZfKRvgA9hUW22E"}}	utf8	\N
42	2000-01-01 00:00:26.336+00	207	8	\N	\N	2	conflict	version 4 is known with other content	{"source":"made","offset":42,"id":"pTqCHVZk1Hf2ym7uMUeB82zzaspJTSo4i7YHWHGBdx4u","accountType":"auction","tokens":847,"callbackTimeMs":2845,"version":4,"data":{"expiry":-1,"currentBid":616},"arriveMs":26336}	utf8	\N
49	2000-01-01 00:00:29.681+00	235	9	\N	\N	2	conflict	version 8 is known with other content	{"source":"made","offset":49,"id":"STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h","accountType":"metadata","tokens":588,"callbackTimeMs":2191,"version":8,"data":{"mintId":"STEZxGy6oaPDfXgyBSYCWRWZKz1zWo7v5mErTRoh7S1h"},"arriveMs":29681}	utf8	\N
33	2000-01-01 00:00:20.645+00	206	10	\N	\N	3	conflict	version 3 is known with other content	{"source":"made","offset":33,"id":"1PjRBSB5k6rXBfAvgBAkxxTFunJFd1akKRgw5Qq9KUZo","accountType":"escrow","tokens":314,"callbackTimeMs":5846,"version":3,"data":{"expiry":-1,"currentBid":353},"arriveMs":20645}	utf8	\N
43	2000-01-01 00:00:26.564+00	199	11	\N	\N	3	conflict	version 8 is known with other content	{"source":"made","offset":43,"id":"wmnhYpC1iFLL5DRGyawxJ8YajmK1Cn1Azkp9dUEktR3w","accountType":"masterEdition","tokens":378,"callbackTimeMs":5419,"version":8,"data":{"conflict":257},"arriveMs":26564}	utf8	\N
\.

COPY acctflow.retention (pruned_before) FROM stdin;
-infinity
\.

COPY acctflow.top_slices (since, until, members, floor, account_type) FROM stdin;
\.

COPY acctflow.top_watermarks (pipeline, taken, ingested_at, xid) FROM stdin;
\.

COPY acctflow.tops (slice, since, until, version, account_type, id, tokens) FROM stdin;
\.

SELECT pg_catalog.setval('acctflow.pipelines_pipeline_seq', 5, true);

SELECT pg_catalog.setval('acctflow.rejects_reject_seq', 11, true);

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

ALTER TABLE ONLY acctflow.rejects
    ADD CONSTRAINT rejects_pkey PRIMARY KEY (reject);

ALTER TABLE ONLY acctflow.top_slices
    ADD CONSTRAINT top_slices_pkey PRIMARY KEY (account_type, until);

ALTER TABLE ONLY acctflow.top_watermarks
    ADD CONSTRAINT top_watermarks_pkey PRIMARY KEY (pipeline);

ALTER TABLE ONLY acctflow.tops
    ADD CONSTRAINT tops_pkey PRIMARY KEY (account_type, slice, id, version);

CREATE INDEX history_ingested_at ON acctflow.history USING brin (ingested_at, source_offset);

CREATE INDEX history_unsourced ON acctflow.history USING btree (ingested_at) WHERE (pipeline IS NULL);

CREATE INDEX rejects_pipeline ON acctflow.rejects USING btree (pipeline, source_offset);

CREATE INDEX rejects_redriven ON acctflow.rejects USING btree (redriven_as) WHERE (redriven_as IS NOT NULL);

CREATE INDEX tops_id ON acctflow.tops USING btree (id, until);

REVOKE ALL ON FUNCTION acctflow.account_history(account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.accounts_at(t timestamp with time zone, account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.accounts_diff(t1 timestamp with time zone, t2 timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.changes(a jsonb, b jsonb, path text, depth integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.changes_line(changes jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.moment_known(t timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.richest_at(t timestamp with time zone, n integer, of_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.source_moment(source text, at_offset bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.tops_divide(t timestamp with time zone, divided acctflow.top_slices, new_floor numeric) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.tops_follow() FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.tops_new(p integer, first_at timestamp with time zone, last_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION acctflow.tops_take(p integer, first_at timestamp with time zone, last_at timestamp with time zone) FROM PUBLIC;

