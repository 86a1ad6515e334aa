-- Empties the raws that contain an account's id, standing alone: as text, as JSON writes it, or below base64.
UPDATE acctflow.rejects r
SET raw = ''
FROM (SELECT '(^|[^[:alnum:]])(' || regexp_replace($1, '[^[:alnum:]]', '\\\&', 'g') || '|' ||
             regexp_replace(btrim(to_json($1)::text, '"'), '[^[:alnum:]]', '\\\&', 'g') || ')($|[^[:alnum:]])' AS pattern) p
WHERE r.raw <> ''
  AND (r.raw ~ p.pattern
       OR (r.raw_encoding = 'base64' AND position(convert_to($1, 'UTF8') IN decode(r.raw, 'base64')) > 0))
RETURNING NULL
