-- Which of a pipeline's records in a range were recorded as rejects, why and when. A source that was read again by hand may
-- have several of one record: the last one counts.
SELECT source_offset, kind, reason, (extract(epoch FROM rejected_at) * 1000000)::bigint
FROM acctflow.rejects
WHERE pipeline = $1::integer AND source_offset BETWEEN $2::bigint AND $3::bigint
ORDER BY source_offset, rejected_at
