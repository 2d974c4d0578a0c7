-- All else in this database that has an ACL, those that are alike in what decides who may do what with them in one row.
-- What the server itself came with, and has the ACL that PostgreSQL takes for none, is counted and not named. An array
-- has the privileges of what it is made of, the row type of a table those that nobody changes. `only`: none but
-- these, of one catalog.
WITH extension AS MATERIALIZED (
  SELECT d.classid, d.objid, x.extname AS name
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
   WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
     AND d.deptype = 'e'
     AND d.objsubid = 0
), object AS (
  SELECT 'schema' AS kind, 'n' AS letter, 'pg_catalog.pg_namespace'::pg_catalog.regclass AS catalog, n.oid,
         NULL::oid AS schema, n.nspowner AS owner, n.nspacl AS acl, false AS definer, n.nspname::text AS name
    FROM pg_catalog.pg_namespace n
   WHERE n.nspname !~ '^pg_(toast_)?temp_'
   UNION ALL
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, 'f', 'pg_catalog.pg_proc'::pg_catalog.regclass,
         p.oid, p.pronamespace, p.proowner, p.proacl, p.prosecdef,
         CASE WHEN p.oid >= 16384 OR p.proacl IS NOT NULL OR p.prosecdef
              THEN pg_catalog.concat(pg_catalog.quote_ident(p.proname), '(',
                                     pg_catalog.oidvectortypes(p.proargtypes), ')') END
    FROM pg_catalog.pg_proc p
   UNION ALL
  SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, 'T', 'pg_catalog.pg_type'::pg_catalog.regclass,
         t.oid, t.typnamespace, t.typowner, t.typacl, false,
         CASE WHEN t.oid >= 16384 OR t.typacl IS NOT NULL THEN t.typname::text END
    FROM pg_catalog.pg_type t
   WHERE NOT (t.typtype = 'b' AND t.typelem <> 0 AND t.typlen = -1)
     AND (t.typtype IN ('b', 'd', 'e', 'r') OR t.typacl IS NOT NULL
          OR t.typrelid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'c'))
   UNION ALL
  SELECT 'language', 'l', 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, NULL, l.lanowner, l.lanacl, false,
         l.lanname::text
    FROM pg_catalog.pg_language l
   UNION ALL
  SELECT 'foreign data wrapper', 'F', 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, NULL,
         w.fdwowner, w.fdwacl, false, w.fdwname::text
    FROM pg_catalog.pg_foreign_data_wrapper w
   UNION ALL
  SELECT 'foreign server', 'S', 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, s.oid, NULL, s.srvowner, s.srvacl,
         false, s.srvname::text
    FROM pg_catalog.pg_foreign_server s
   UNION ALL
  SELECT 'large object', 'L', 'pg_catalog.pg_largeobject'::pg_catalog.regclass, m.oid, NULL, m.lomowner, m.lomacl,
         false, m.oid::text
    FROM pg_catalog.pg_largeobject_metadata m
), grouped AS (
  SELECT o.kind, o.letter, o.schema, o.owner, o.acl, o.definer, x.name AS extension, o.oid < 16384 AS installed,
         pg_catalog.count(*) AS total, pg_catalog.array_agg(o.name) FILTER (WHERE o.name IS NOT NULL) AS names
    FROM object o
    LEFT JOIN extension x ON x.classid = o.catalog AND x.objid = o.oid
   WHERE %(only)s::oid[] IS NULL OR o.catalog = %(catalog)s::pg_catalog.regclass AND o.oid = ANY (%(only)s::oid[])
   GROUP BY o.kind, o.letter, o.schema, o.owner, o.acl, o.definer, x.name, o.oid < 16384
)
SELECT g.kind AS kind,
       COALESCE(n.nspname, '') AS schema,
       '' AS relation,
       g.owner::bigint AS owner,
       g.acl IS NULL AS is_default,
       (SELECT pg_catalog.string_agg(
                 pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type), ',')
          FROM pg_catalog.aclexplode(COALESCE(g.acl, pg_catalog.acldefault(g.letter::"char", g.owner))) a) AS entries,
       COALESCE(g.extension, '') AS extension,
       '' AS row_security,
       g.definer AS definer,
       g.installed AS installed,
       false AS catalog,
       g.total AS total,
       COALESCE(g.names, '{}') AS names
  FROM grouped g
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = g.schema
