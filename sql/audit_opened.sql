-- What PUBLIC has on what the server came with, beyond what initdb gave it; schema public is judged as anybody's. What
-- initdb gives of information_schema it notes nowhere: everybody reads that.
WITH installed AS (
  SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind,
         'pg_catalog.pg_class'::pg_catalog.regclass AS catalog, c.oid, 0 AS number, c.relnamespace AS schema, ''::text AS relation, c.relname::text AS name, c.relowner AS owner,
         c.relacl AS acl, pg_catalog.acldefault('r', c.relowner) AS usual
    FROM pg_catalog.pg_class c
   WHERE c.oid < 16384 AND c.relacl IS NOT NULL AND c.relkind IN ('r', 'v')
   UNION ALL
  SELECT 'column', 'pg_catalog.pg_class', c.oid, t.attnum, c.relnamespace, c.relname::text, t.attname::text, c.relowner,
         t.attacl, NULL
    FROM pg_catalog.pg_attribute t
    JOIN pg_catalog.pg_class c ON c.oid = t.attrelid
   WHERE t.attrelid < 16384 AND t.attacl IS NOT NULL
   UNION ALL
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, 'pg_catalog.pg_proc', p.oid, 0, p.pronamespace, '',
         pg_catalog.concat(pg_catalog.quote_ident(p.proname), '(', pg_catalog.oidvectortypes(p.proargtypes), ')'),
         p.proowner, p.proacl, pg_catalog.acldefault('f', p.proowner)
    FROM pg_catalog.pg_proc p
   WHERE p.oid < 16384 AND p.proacl IS NOT NULL
   UNION ALL
  SELECT 'schema', 'pg_catalog.pg_namespace', n.oid, 0, NULL, '', n.nspname::text, n.nspowner, n.nspacl,
         pg_catalog.acldefault('n', n.nspowner)
    FROM pg_catalog.pg_namespace n
   WHERE n.oid < 16384 AND n.nspacl IS NOT NULL AND n.nspname <> 'public'
)
SELECT i.kind AS kind,
       COALESCE(n.nspname::text, '') AS schema,
       i.relation AS relation,
       i.owner::bigint AS owner,
       false AS is_default,
       e.entries AS entries,
       '' AS extension,
       '' AS row_security,
       false AS definer,
       true AS installed,
       false AS catalog,
       1 AS total,
       ARRAY[i.name] AS names
  FROM installed i
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = i.schema
  LEFT JOIN pg_catalog.pg_init_privs p ON p.classoid = i.catalog AND p.objoid = i.oid AND p.objsubid = i.number
 CROSS JOIN LATERAL (
       SELECT pg_catalog.string_agg(
                pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',') AS entries
         FROM pg_catalog.aclexplode(i.acl) a
        WHERE a.grantee = 0
          AND NOT ('information_schema' IN (n.nspname, i.name) AND a.privilege_type IN ('SELECT', 'USAGE'))
          AND NOT EXISTS (SELECT
                            FROM pg_catalog.aclexplode(COALESCE(p.initprivs, i.usual)) u
                           WHERE u.grantee = 0 AND u.privilege_type = a.privilege_type)) AS e
 WHERE e.entries IS NOT NULL
 ORDER BY kind, schema, relation, names
