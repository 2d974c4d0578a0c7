-- What can be read in some schemas and is not among those known, in groups: who owns it, and which of the readers have
-- SELECT on it already.
SELECT u.schema::bigint AS schema,
       u.owner::bigint AS owner,
       u.kind AS kind,
       u.readable_by AS readable_by,
       pg_catalog.array_agg(u.name ORDER BY u.name) AS names
  FROM (SELECT c.relnamespace AS schema,
               c.relowner AS owner,
               c.relkind::text AS kind,
               c.relname::text AS name,
               ARRAY(SELECT r.oid::bigint
                       FROM pg_catalog.unnest(%(readers)s::pg_catalog.oid[]) AS r (oid)
                      WHERE CASE c.relkind
                              WHEN 'S' THEN pg_catalog.has_sequence_privilege(r.oid, c.oid, 'SELECT')
                              ELSE pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT')
                            END
                      ORDER BY r.oid) AS readable_by
          FROM pg_catalog.unnest(%(schemas)s::pg_catalog.oid[]) AS asked (schema)
          JOIN pg_catalog.pg_class c ON c.relnamespace = asked.schema
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
           AND NOT EXISTS (SELECT
                             FROM pg_catalog.unnest(%(known)s::pg_catalog.oid[]) AS k (oid)
                            WHERE k.oid = c.oid)) AS u
 GROUP BY u.schema, u.owner, u.kind, u.readable_by
 ORDER BY u.schema, u.owner, u.kind, u.readable_by
