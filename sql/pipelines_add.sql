-- Adds a source with that number of shards, and one of them, where they are new. Another number of shards adds nothing.
WITH input AS (
    INSERT INTO acctflow.inputs (name, shards) VALUES ($1, $3::integer) ON CONFLICT (name) DO NOTHING
), added AS (
    INSERT INTO acctflow.pipelines (source, shard)
    SELECT $1, $2::integer
    WHERE NOT EXISTS (SELECT FROM acctflow.pipelines WHERE source = $1 AND shard = $2::integer)
      AND NOT EXISTS (SELECT FROM acctflow.inputs WHERE name = $1 AND shards <> $3::integer)
    ON CONFLICT (source, shard) DO NOTHING
    RETURNING pipeline
)
INSERT INTO acctflow.deliveries (pipeline) SELECT pipeline FROM added
