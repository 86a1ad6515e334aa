-- Questions as of a moment, made anew behind the views. The state as of T: of each account the highest version with
-- ingested_at <= T. None of a moment that prune has made unknown.
CREATE FUNCTION acctflow.moment_known(t timestamptz)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
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

-- When the record at an offset of a source was ingested, or the one before it that was; null: it has not got there yet. The
-- index on the times knows which offsets lie where, so the near ones are looked at first.
CREATE FUNCTION acctflow.source_moment(source text, at_offset bigint)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
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

-- In PL/pgSQL, like the others that look at accounts: Citus wants it so. With an id the index is asked.
CREATE FUNCTION acctflow.accounts_at(t timestamptz, account text DEFAULT NULL)
RETURNS TABLE (id text, account_type text, tokens numeric, version bigint, data json, callback_time_ms bigint, ingested_at timestamptz,
               source text, source_offset bigint)
LANGUAGE plpgsql STABLE AS $$
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

-- Two documents member by member: an array of {"path": a JSON pointer, "value": ..., "before": ...}; what is missing of
-- the last two was not there. Below thirty levels documents are compared as a whole.
CREATE FUNCTION acctflow.changes(a jsonb, b jsonb, path text DEFAULT '', depth integer DEFAULT 30)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
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

-- The same as a line for people.
CREATE FUNCTION acctflow.changes_line(changes jsonb)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT to_jsonb(string_agg(CASE WHEN c.value ? 'value' THEN (c.value ->> 'path') || coalesce(' ' || (c.value -> 'before')::text || ' →', '')
                                                                || ' ' || (c.value -> 'value')::text
                                    ELSE '-' || (c.value ->> 'path') END, ', ' ORDER BY c.n))
    FROM jsonb_array_elements(changes) WITH ORDINALITY c (value, n)
$$;

-- All that is known of an account, by version: what became of its callback, and what it changed of the version that it
-- superseded. It is the view callbacks written out, each table asked for the account by itself, and the pipeline's name
-- looked up behind it: so Citus runs the inner query on one shard as it stands.
CREATE FUNCTION acctflow.account_history(account text)
RETURNS TABLE (id text, version bigint, deleted boolean, account_type text, tokens numeric, callback_time_ms bigint, data json,
               ingested_at timestamptz, due_at timestamptz, state text, settled_at timestamptz, superseded_by bigint,
               changes jsonb, source text, source_offset bigint, trace text)
LANGUAGE plpgsql STABLE AS $$
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

-- The accounts whose state as of the second moment is another than as of the first; only those that had a version between.
CREATE FUNCTION acctflow.accounts_diff(t1 timestamptz, t2 timestamptz)
RETURNS TABLE (id text, change text, version_before bigint, version bigint, account_type_before text, account_type text,
               tokens_before numeric, tokens numeric, changes jsonb)
LANGUAGE plpgsql STABLE AS $$
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

-- richest_at answers from `tops`: the versions of many tokens, with the times at which each was its account's state. A type's
-- time is cut into slices; in each all versions are kept that have at least the slice's floor of tokens and were a state in
-- it. So whoever finds n of them at a moment has found the n highest. The floor decides how many are kept, never what is
-- right: where fewer than n are found, the history is asked.

-- Divides, at a moment, the slice that it lies in: what was a state then is kept by the new one too, down to its floor.
CREATE FUNCTION acctflow.tops_divide(t timestamptz, divided acctflow.top_slices, new_floor numeric)
RETURNS void LANGUAGE sql AS $$
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

-- What a pipeline (0: whatever came without a source) ingested in that time.
CREATE FUNCTION acctflow.tops_new(p integer, first_at timestamptz, last_at timestamptz)
RETURNS SETOF acctflow.history LANGUAGE sql STABLE AS $$
    SELECT u.* FROM acctflow.history u
    WHERE u.pipeline IS NOT DISTINCT FROM nullif(p, 0) AND u.ingested_at BETWEEN first_at AND last_at
$$;

-- Takes that in; once more is no harm. The joins are LATERAL with a barrier where the planner, which knows little of tables
-- that have just grown, would begin at the wrong end.
CREATE FUNCTION acctflow.tops_take(p integer, first_at timestamptz, last_at timestamptz)
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET jit = off AS $$
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

-- Takes in all that was committed since it did so last. A pipeline's times never go back, so it is known by its last
-- time how far that was; what came without a source is counted.
CREATE FUNCTION acctflow.tops_follow()
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET jit = off SET search_path = pg_catalog, pg_temp AS $$
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

-- The accounts of each type (null: of all) that had the n highest tokens at that moment, and all that tie.
CREATE FUNCTION acctflow.richest_at(t timestamptz, n integer DEFAULT 1, of_type text DEFAULT NULL)
RETURNS TABLE (account_type text, place bigint, tokens numeric, version bigint, id text, data json)
LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan SET jit = off AS $$
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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA acctflow FROM PUBLIC
