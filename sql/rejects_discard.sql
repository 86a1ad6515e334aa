-- Discards open rejects, chosen as rejected.sql does. Says how many.
WITH discarded AS (
    UPDATE acctflow.rejects r SET discarded_at = now()
    WHERE r.redriven_as IS NULL AND r.discarded_at IS NULL
      AND ($1::text IS NULL OR r.pipeline IN (SELECT pipeline FROM acctflow.pipelines WHERE source = $1))
      AND ($2::text IS NULL OR r.kind = $2) AND ($3::text IS NULL OR r.reason LIKE $3)
      AND ($4::bigint[] IS NULL OR r.source_offset = ANY ($4))
    RETURNING 1
)
SELECT count(*) FROM discarded
