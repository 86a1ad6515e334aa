-- Questions about an earlier moment are refused from now on, before the first row leaves. No row: that is in the future.
UPDATE acctflow.retention SET pruned_before = greatest(pruned_before, $1::timestamptz)
WHERE $1::timestamptz <= now()
RETURNING NULL
