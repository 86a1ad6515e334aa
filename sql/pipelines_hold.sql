-- Locks pipelines whose counts are to change, always in this order.
SELECT FROM acctflow.pipelines WHERE pipeline = ANY ($1::bigint[]) ORDER BY pipeline FOR UPDATE
