-- What views read: one row a view and relation, with the columns of it that the view names; none where it is about the
-- relation as a whole. Views that the server itself came with are left out. `only`: none but
-- these.
SELECT n.nspname AS schema,
       v.relname AS name,
       v.relowner::bigint AS owner,
       COALESCE((SELECT o.option_value::boolean
                   FROM pg_catalog.pg_options_to_table(v.reloptions) o
                  WHERE o.option_name = 'security_invoker'), false) AS invoker,
       b.relname AS base_name,
       m.nspname AS base_schema,
       u.columns AS columns
  FROM pg_catalog.pg_class v
  JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
 CROSS JOIN LATERAL (
       SELECT d.refobjid AS relation,
              pg_catalog.array_agg(t.attname::text ORDER BY t.attnum) FILTER (WHERE t.attnum IS NOT NULL) AS columns
         FROM pg_catalog.pg_depend d
         LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = d.refobjid AND t.attnum = d.refobjsubid AND d.refobjsubid <> 0
        WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
          AND d.objid = r.oid
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND d.refobjid <> v.oid
        GROUP BY d.refobjid) AS u
  JOIN pg_catalog.pg_class b ON b.oid = u.relation
  JOIN pg_catalog.pg_namespace m ON m.oid = b.relnamespace
 WHERE v.relkind IN ('v', 'm')
   AND v.oid >= 16384
   AND (%(only)s::oid[] IS NULL OR v.oid = ANY (%(only)s::oid[]))
 ORDER BY n.nspname, v.relname, m.nspname, b.relname
