-- The input was read to its end, or to where it broke off or reader was asked to stop.
UPDATE acctflow.pipelines
SET complete = $2::boolean, broken = $3::boolean, fingerprint = coalesce($4, fingerprint),
    committed_offset = greatest(committed_offset, $5::bigint)
WHERE pipeline = $1::integer
