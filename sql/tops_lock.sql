-- As tops_follow() does: it takes nothing in that leaves meanwhile.
SELECT pg_advisory_xact_lock('acctflow.top_watermarks'::regclass::oid::bigint)
