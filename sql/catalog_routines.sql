-- Functions, procedures and types of some schemas that PUBLIC may not use, which it may by default: with who may.
-- Array types, multiranges and the row types of relations have no privileges of their own.
SELECT o.kind AS kind,
       o.schema::bigint AS schema,
       o.owner::bigint AS owner,
       o.name AS name,
       o.identity AS identity,
       ARRAY(SELECT pg_catalog.concat_ws(' ', a.grantee, a.grantor, a.is_grantable, a.privilege_type)
               FROM pg_catalog.aclexplode(o.acl) a) AS entries
  FROM (SELECT 'ROUTINE' AS kind, p.pronamespace AS schema, p.proowner AS owner, p.proname::text AS name,
               p.oid::pg_catalog.regprocedure::text AS identity, p.proacl AS acl
          FROM pg_catalog.pg_proc p
         UNION ALL
        SELECT 'TYPE', t.typnamespace, t.typowner, t.typname::text, t.oid::pg_catalog.regtype::text, t.typacl
          FROM pg_catalog.pg_type t
         WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r')
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
           AND (t.typrelid = 0
                OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))) AS o
 WHERE o.schema = ANY (%(schemas)s::oid[])
   AND o.acl IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(o.acl) a WHERE a.grantee = 0)
 ORDER BY o.schema, o.kind, o.identity
