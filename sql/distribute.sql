-- The tables on Citus, behind `writer migrate --distributed`: what has a row for each account is distributed by its id, all
-- versions of an account on one node. The small tables stay on the coordinator and are known to all nodes, so that each of
-- them can be connected to. citus.shard_count says how many shards.
SELECT create_distributed_table('acctflow.latest', 'id', colocate_with := 'none');
SELECT create_distributed_table('acctflow.history', 'id', colocate_with := 'acctflow.latest');
SELECT create_distributed_table('acctflow.outcomes', 'id', colocate_with := 'acctflow.latest');
SELECT citus_add_local_table_to_metadata(oid)
FROM pg_class
WHERE relnamespace = 'acctflow'::regnamespace AND relkind = 'r' AND relname NOT IN ('latest', 'history', 'outcomes')
