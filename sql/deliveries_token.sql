-- Whose the pipeline is, and where it stands.
SELECT p.token, d.token, coalesce(p.committed_offset, -1) FROM acctflow.deliveries d JOIN acctflow.pipelines p ON p.pipeline = d.pipeline
WHERE d.pipeline = $1::integer
