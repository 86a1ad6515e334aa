-- The owner is noted anew: behind a proxy the connection may be another than before. xid is given, not asked for here:
-- where the row lies on another node, that would be another one.
WITH me AS MATERIALIZED (
    SELECT pid, backend_start, $3::timestamptz AS ingested_at FROM pg_stat_get_activity(pg_backend_pid())
)
UPDATE acctflow.pipelines p
SET committed_offset = coalesce($2::bigint, p.committed_offset), ingested_at = coalesce(me.ingested_at, p.ingested_at),
    indexed = p.indexed + $4::bigint, stale = p.stale + $5::bigint, duplicate = p.duplicate + $6::bigint,
    conflict = p.conflict + $7::bigint, skipped = p.skipped + $8::bigint, rejected = p.rejected + $9::bigint,
    without_callback = p.without_callback + $10::bigint,
    check_offset = coalesce($11::bigint, p.check_offset), check_hash = coalesce($12::bigint, p.check_hash),
    xid = $13::xid8, owner_pid = me.pid, owner_start = me.backend_start, updated_at = now()
FROM me
WHERE p.pipeline = $1::integer
