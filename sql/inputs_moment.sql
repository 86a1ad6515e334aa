-- When the record at an offset ($2) of a source was ingested, or so many milliseconds ($3) after its start. A row for each
-- source, or for the one that is named ($1).
SELECT to_char(CASE WHEN $2::bigint IS NULL THEN i.started_at + $3::bigint * interval '1 millisecond'
                    ELSE acctflow.source_moment(i.name, $2::bigint) END AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS moment
FROM acctflow.inputs i
WHERE $1::text IS NULL OR i.name = $1
LIMIT 2
