-- Still ours? The first statement of each transaction: whoever takes the source over waits for it, or ends it.
SELECT lane FROM acctflow.source_lanes WHERE name = $1 AND lane BETWEEN $2::smallint AND $3::smallint AND token = $4::bigint FOR UPDATE
