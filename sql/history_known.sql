-- Which of these (id, version) are known, and with what content. n counts from 1 in the order asked.
SELECT k.n, u.account_type, u.tokens, u.callback_time_ms, u.deleted, u.data, u.pipeline, u.source_offset, u.applied,
       (extract(epoch FROM u.ingested_at) * 1000000)::bigint, (extract(epoch FROM u.due_at) * 1000000)::bigint,
       (SELECT (extract(epoch FROM o.settled_at) * 1000000)::bigint FROM acctflow.outcomes o
        WHERE o.id = u.id AND o.version = u.version)
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS k (id, version, n)
JOIN acctflow.history u ON u.id = k.id AND u.version = k.version
