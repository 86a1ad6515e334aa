-- Who may do what in the schema. `writer roles | psql` runs this, as a superuser, once; `writer migrate` runs it again,
-- as the owner, after each change of the schema. However often it is run, the outcome is the same: what these roles were
-- granted beside it is taken back. Nobody logs in as one of them: grant them to who does.
DO $$
DECLARE
    name text;
    statement text;
BEGIN
    FOREACH name IN ARRAY ARRAY['acctflow_owner', 'acctflow_writer', 'acctflow_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
    -- What whoever migrated before owns; indexes follow their tables.
    FOR statement IN
        SELECT format('ALTER SCHEMA %I OWNER TO acctflow_owner', nspname)
        FROM pg_namespace WHERE nspname = 'acctflow' AND nspowner <> 'acctflow_owner'::regrole
        UNION ALL
        SELECT format('ALTER TABLE %s OWNER TO acctflow_owner', oid::regclass)
        FROM pg_class
        WHERE relnamespace = 'acctflow'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND relowner <> 'acctflow_owner'::regrole
        UNION ALL
        SELECT format('ALTER FUNCTION %s OWNER TO acctflow_owner', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'acctflow'::regnamespace AND proowner <> 'acctflow_owner'::regrole
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA acctflow FROM PUBLIC, acctflow_writer, acctflow_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA acctflow FROM PUBLIC, acctflow_writer, acctflow_reader;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA acctflow FROM PUBLIC, acctflow_writer, acctflow_reader;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA acctflow FROM PUBLIC, acctflow_writer, acctflow_reader;
GRANT USAGE ON SCHEMA acctflow TO acctflow_writer, acctflow_reader;

-- Reporting: queries, and those of writer's verbs that only look.
GRANT SELECT ON ALL TABLES IN SCHEMA acctflow TO acctflow_writer, acctflow_reader;
GRANT EXECUTE ON FUNCTION acctflow.moment_known, acctflow.accounts_at, acctflow.source_moment, acctflow.accounts_diff, acctflow.richest_at, acctflow.account_history, acctflow.changes, acctflow.changes_line,
    acctflow.tops_follow TO acctflow_writer, acctflow_reader;

-- The pipeline. History is only added to.
GRANT INSERT ON acctflow.history, acctflow.outcomes, acctflow.rejects TO acctflow_writer;
-- The latest state: a row stays its account's.
GRANT INSERT (id, version, callback_time_ms, ingested_at, source_offset, tokens, account_type, deleted, data, pipeline),
    UPDATE (version, previous_version, callback_time_ms, ingested_at, source_offset, tokens, account_type, deleted, data, pipeline)
    ON acctflow.latest TO acctflow_writer;
-- The books of a source: a row stays its shard's, and begins empty.
GRANT INSERT (name, shards), UPDATE (seed, arrival, delay_ms, speed, clock, started_at) ON acctflow.inputs TO acctflow_writer;
GRANT INSERT (source, shard),
    UPDATE (token, owner_pid, owner_start, committed_offset, check_offset, check_hash, indexed, stale, duplicate, conflict, skipped,
            rejected, without_callback, ingested_at, updated_at, xid, complete, broken, fingerprint)
    ON acctflow.pipelines TO acctflow_writer;
GRANT INSERT (pipeline), UPDATE (token, owner_pid, owner_start, delivered_offset, updated_at) ON acctflow.deliveries TO acctflow_writer;
-- A fleet's machines and leases.
GRANT INSERT (machine, until, joined_at), UPDATE (until), DELETE ON acctflow.machines TO acctflow_writer;
GRANT INSERT (source, shard, changed_at), UPDATE (machine, wanted_by, changed_at, done_at, lag) ON acctflow.leases TO acctflow_writer;
-- Citus does not pass on to its nodes what is granted on columns, and it gives numbers by the sequence itself.
DO $$
BEGIN
    IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
        GRANT INSERT, UPDATE ON acctflow.latest, acctflow.inputs, acctflow.pipelines, acctflow.deliveries, acctflow.machines,
            acctflow.leases TO acctflow_writer;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA acctflow TO acctflow_writer;
    END IF;
END
$$;
