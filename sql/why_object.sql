-- One object by its name: relations and columns of them, routines by name and types of arguments, or by the name alone,
-- and all else by its bare name; to_regprocedure would want USAGE on the schema. `reads`: the relation
-- itself, all that views in it read, whoever they belong to, and the tables that those are parts of.
WITH RECURSIVE found AS (
  SELECT CASE WHEN %(column)s::text = '' THEN 'relation' ELSE 'column' END AS kind, c.oid AS oid,
         'pg_class'::text AS catalog, c.relnamespace AS schema,
         CASE WHEN %(column)s::text = '' THEN c.relname::text ELSE t.attname::text END AS name
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute t
      ON t.attrelid = c.oid AND t.attname = %(column)s AND t.attnum > 0 AND NOT t.attisdropped
   WHERE %(kind)s = 'relation'
     AND n.nspname = %(schema)s
     AND c.relname = %(name)s
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
     AND (%(column)s::text = '' OR t.attname IS NOT NULL)
   UNION ALL
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.oid, 'pg_proc', p.pronamespace,
         pg_catalog.concat(pg_catalog.quote_ident(p.proname), '(', pg_catalog.oidvectortypes(p.proargtypes), ')')
    FROM pg_catalog.pg_proc p
   WHERE %(kind)s = 'routine'
     AND p.proname = %(name)s
     AND p.pronamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = %(schema)s)
     AND (%(arguments)s::text[] IS NULL OR p.proargtypes::text = pg_catalog.array_to_string(ARRAY(
            SELECT COALESCE(pg_catalog.to_regtype(a.type)::oid, 0)
              FROM pg_catalog.unnest(%(arguments)s::text[]) WITH ORDINALITY a (type, position)
             ORDER BY a.position), ' '))
   UNION ALL
  SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.oid, 'pg_type', t.typnamespace, t.typname::text
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE %(kind)s = 'type' AND n.nspname = %(schema)s AND t.typname = %(name)s
   UNION ALL
  SELECT 'schema', n.oid, 'pg_namespace', NULL, n.nspname::text
    FROM pg_catalog.pg_namespace n
   WHERE %(kind)s = 'schema' AND n.nspname = %(name)s
   UNION ALL
  SELECT 'database', d.oid, 'pg_database', NULL, d.datname::text
    FROM pg_catalog.pg_database d
   WHERE %(kind)s = 'database' AND d.datname = %(name)s
   UNION ALL
  SELECT 'tablespace', t.oid, 'pg_tablespace', NULL, t.spcname::text
    FROM pg_catalog.pg_tablespace t
   WHERE %(kind)s = 'tablespace' AND t.spcname = %(name)s
   UNION ALL
  SELECT 'language', l.oid, 'pg_language', NULL, l.lanname::text
    FROM pg_catalog.pg_language l
   WHERE %(kind)s = 'language' AND l.lanname = %(name)s
   UNION ALL
  SELECT 'foreign data wrapper', w.oid, 'pg_foreign_data_wrapper', NULL, w.fdwname::text
    FROM pg_catalog.pg_foreign_data_wrapper w
   WHERE %(kind)s = 'foreign data wrapper' AND w.fdwname = %(name)s
   UNION ALL
  SELECT 'foreign server', s.oid, 'pg_foreign_server', NULL, s.srvname::text
    FROM pg_catalog.pg_foreign_server s
   WHERE %(kind)s = 'foreign server' AND s.srvname = %(name)s
   UNION ALL
  SELECT 'large object', m.oid, 'pg_largeobject', NULL, m.oid::text
    FROM pg_catalog.pg_largeobject_metadata m
   WHERE %(kind)s = 'large object' AND m.oid = NULLIF(%(number)s::text, '')::oid
), reads (relation) AS (
  SELECT f.oid FROM found f WHERE f.catalog = 'pg_class'
   UNION
  SELECT o.relation
    FROM reads v
   CROSS JOIN LATERAL (
         SELECT d.refobjid AS relation
           FROM pg_catalog.pg_rewrite r
           JOIN pg_catalog.pg_depend d
             ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          WHERE r.ev_class = v.relation AND r.ev_type = '1'
          UNION ALL
         SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = v.relation) AS o
)
SELECT f.kind AS kind,
       f.oid::bigint AS oid,
       'pg_catalog.' || f.catalog AS catalog,
       f.schema::bigint AS schema,
       COALESCE(n.nspname::text, '') AS schema_name,
       f.name AS name,
       ARRAY(SELECT v.relation::bigint FROM reads v ORDER BY 1) AS reads
  FROM found f
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.schema
 ORDER BY f.kind, f.name
