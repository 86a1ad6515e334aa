-- Which of these (id, version) are known, and with what content. n counts from 1 in the order asked.
SELECT k.n, u.account_type, u.tokens, u.callback_time_ms, u.data, u.source, u.source_offset, u.applied,
       (extract(epoch FROM u.ingested_at) * 1000000)::bigint,
       (SELECT (extract(epoch FROM f.fired_at) * 1000000)::bigint FROM acctflow.callbacks_fired f
        WHERE f.id = u.id AND f.version = u.version)
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS k (id, version, n)
JOIN acctflow.account_updates u ON u.id = k.id AND u.version = k.version
