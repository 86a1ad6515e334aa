-- Nobody can ask for what ended before.
WITH slices AS (DELETE FROM acctflow.top_slices WHERE until <= $1::timestamptz)
DELETE FROM acctflow.tops WHERE until <= $1::timestamptz
