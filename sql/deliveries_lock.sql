-- Before the pipeline is taken over: waits for what ack is recording.
SELECT FROM acctflow.deliveries d JOIN acctflow.pipelines p ON p.pipeline = d.pipeline
WHERE p.source = $1 AND p.shard = $2::integer
FOR UPDATE OF d
