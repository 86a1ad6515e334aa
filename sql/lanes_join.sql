SELECT lane, token, committed_offset, (extract(epoch FROM ingested_at) * 1000000)::bigint
FROM acctflow.source_lanes WHERE name = $1 AND token = $2::bigint
