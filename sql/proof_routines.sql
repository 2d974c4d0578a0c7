-- Functions, procedures and types, system schemas left out: whether the user we are may use them.
SELECT n.nspname AS schema,
       o.name AS name,
       o.identity AS identity,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND o.usable AS usable
  FROM (SELECT p.pronamespace AS schema, p.proname::text AS name, p.oid::pg_catalog.regprocedure::text AS identity,
               pg_catalog.has_function_privilege(p.oid, 'EXECUTE') AS usable
          FROM pg_catalog.pg_proc p
         UNION ALL
        SELECT t.typnamespace, t.typname::text, t.oid::pg_catalog.regtype::text,
               pg_catalog.has_type_privilege(t.oid, 'USAGE')
          FROM pg_catalog.pg_type t
         WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r')
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
           AND (t.typrelid = 0
                OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))) AS o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.schema
 WHERE n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY n.nspname, o.identity
