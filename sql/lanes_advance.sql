-- The offset never goes back: where a batch is committed in parts, one lane may be further than the part. The owner is
-- noted anew where the connection is another than before. xid is given, not asked for here: where the row lies on another
-- node, that would be another one.
UPDATE acctflow.source_lanes
SET committed_offset = greatest($4::bigint, committed_offset), ingested_at = greatest($5::timestamptz, ingested_at), updated_at = now(), xid = $11::xid8,
    indexed = indexed + CASE WHEN lane = $2::smallint THEN $6::bigint ELSE 0 END,
    stale = stale + CASE WHEN lane = $2::smallint THEN $7::bigint ELSE 0 END,
    duplicate = duplicate + CASE WHEN lane = $2::smallint THEN $8::bigint ELSE 0 END,
    conflict = conflict + CASE WHEN lane = $2::smallint THEN $9::bigint ELSE 0 END,
    rejected = rejected + CASE WHEN lane = $2::smallint THEN $10::bigint ELSE 0 END,
    owner_start = CASE WHEN lane <> 0 OR owner_pid = pg_backend_pid() THEN owner_start
                       ELSE (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) END,
    owner_pid = CASE WHEN lane = 0 THEN pg_backend_pid() ELSE owner_pid END
WHERE name = $1 AND lane BETWEEN $2::smallint AND $3::smallint
