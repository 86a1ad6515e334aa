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
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA acctflow FROM PUBLIC, acctflow_writer, acctflow_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA acctflow FROM PUBLIC, acctflow_writer, acctflow_reader;
GRANT USAGE ON SCHEMA acctflow TO acctflow_writer, acctflow_reader;

-- Reporting: the relations for queries, and what those of writer's verbs need that only look.
GRANT SELECT ON acctflow.accounts, acctflow.account_updates, acctflow.callbacks, acctflow.callbacks_fired,
    acctflow.rejected_updates, acctflow.sources, acctflow.migrations TO acctflow_reader;

-- The pipeline. History is only added to.
GRANT SELECT ON ALL TABLES IN SCHEMA acctflow TO acctflow_writer;
GRANT INSERT ON acctflow.account_updates, acctflow.callbacks_fired, acctflow.rejected_updates TO acctflow_writer;
-- The latest state: a row stays its account's.
GRANT INSERT (id, version, callback_time_ms, ingested_at, source_offset, tokens, account_type, source, data),
    UPDATE (version, previous_version, callback_time_ms, ingested_at, source_offset, tokens, account_type, source, data)
    ON acctflow.accounts TO acctflow_writer;
-- The books of a source: a row stays its source's, and begins empty.
GRANT INSERT (name), UPDATE (seed, arrival, delay_ms, speed, clock, fingerprint, started_at, complete)
    ON acctflow.source_inputs TO acctflow_writer;
GRANT INSERT (name, lane),
    UPDATE (token, owner_pid, owner_start, committed_offset, indexed, stale, duplicate, conflict, rejected, ingested_at, updated_at, xid)
    ON acctflow.source_lanes TO acctflow_writer;
GRANT INSERT (name), UPDATE (token, delivered_offset, updated_at) ON acctflow.source_deliveries TO acctflow_writer;
