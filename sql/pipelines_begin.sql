-- The input is read, from its beginning ($2: the offset before the first one read), or on.
UPDATE acctflow.pipelines
SET complete = false, broken = false, fingerprint = coalesce(CASE WHEN $3::boolean THEN fingerprint END, $4),
    committed_offset = CASE WHEN $3::boolean THEN committed_offset ELSE $2::bigint END
WHERE pipeline = $1::integer
