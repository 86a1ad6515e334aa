-- Marks these rejects ($1), in this order, as records of source $2, the first as its record $3. Says how many are marked so
-- now: a reject is redriven once, and one that was discarded is not.
WITH marked AS (
    UPDATE acctflow.rejects r SET redriven_as = $2, redriven_offset = $3::bigint + n.ordinal - 1
    FROM unnest($1::bigint[]) WITH ORDINALITY AS n (reject, ordinal)
    WHERE r.reject = n.reject AND r.discarded_at IS NULL
      AND (r.redriven_as IS NULL OR (r.redriven_as = $2 AND r.redriven_offset = $3::bigint + n.ordinal - 1))
    RETURNING 1
)
SELECT count(*) FROM marked
