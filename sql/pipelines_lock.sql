-- Still ours, and where we left it? The first statement of each transaction: whoever takes the pipeline over waits for it,
-- or ends it.
SELECT coalesce(committed_offset, -1) FROM acctflow.pipelines WHERE pipeline = $1::integer AND token = $2::bigint FOR UPDATE
