-- When the record at an offset ($2) of a source was ingested, or the one before it that was; or the time so many
-- milliseconds ($3) after its start. A row for each source, or for the one that is named. The index on the times knows
-- too which offsets lie where, so the near ones are looked at first.
SELECT to_char(CASE WHEN $2::bigint IS NULL THEN i.started_at + $3::bigint * interval '1 millisecond'
                    WHEN $2::bigint <= (SELECT max(p.committed_offset) FROM acctflow.pipelines p WHERE p.source = i.name)
                    THEN coalesce((SELECT u.ingested_at FROM acctflow.history u JOIN acctflow.pipelines p ON p.pipeline = u.pipeline
                                   WHERE p.source = i.name AND u.source_offset BETWEEN $2::bigint - 1000 AND $2::bigint
                                   ORDER BY u.source_offset DESC LIMIT 1),
                                  (SELECT u.ingested_at FROM acctflow.history u JOIN acctflow.pipelines p ON p.pipeline = u.pipeline
                                   WHERE p.source = i.name AND u.source_offset <= $2::bigint
                                   ORDER BY u.source_offset DESC LIMIT 1),
                                  i.started_at) END AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS moment
FROM acctflow.inputs i
WHERE $1::text IS NULL OR i.name = $1
LIMIT 2
