-- By hand a source is read from where the reader says, not from where it was left.
WITH deliveries AS (
    UPDATE acctflow.source_deliveries SET delivered_offset = NULL WHERE name = $1
)
UPDATE acctflow.source_lanes SET committed_offset = $2::bigint WHERE name = $1
