WITH lanes AS (
    INSERT INTO acctflow.source_lanes (name, lane)
    SELECT $1, n FROM generate_series(0, $2::smallint - 1) n WHERE NOT EXISTS (SELECT FROM acctflow.source_lanes WHERE name = $1)
    ON CONFLICT DO NOTHING
), deliveries AS (
    INSERT INTO acctflow.source_deliveries (name) VALUES ($1) ON CONFLICT DO NOTHING
)
INSERT INTO acctflow.source_inputs (name) VALUES ($1) ON CONFLICT DO NOTHING
