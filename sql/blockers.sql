-- Whom a session waits for, and about what. PostgreSQL 18 locks what a GRANT names. Before, it writes the catalog row
-- that stands for the object; where somebody else has written that row and not ended yet, it waits with a lock on the
-- row as it was.
WITH waiting AS (
       SELECT CASE WHEN l.locktype = 'relation' THEN 'pg_catalog.pg_class'::pg_catalog.regclass
                   WHEN l.locktype = 'tuple' THEN l.relation::pg_catalog.regclass
                   ELSE l.classid::pg_catalog.regclass
              END AS catalog,
              CASE WHEN l.locktype = 'relation' THEN l.relation ELSE l.objid END AS oid,
              pg_catalog.format('(%%s,%%s)', l.page, l.tuple)::pg_catalog.tid AS place
         FROM pg_catalog.pg_locks l
        WHERE l.pid = %(pid)s
          AND (l.locktype = 'tuple' OR (l.locktype IN ('relation', 'object') AND NOT l.granted))
)
SELECT b.pid,
       a.usename::text AS role,
       a.application_name AS application,
       a.state,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS seconds,
       o.kind,
       o.schema,
       o.name
  FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(%(pid)s)) AS pid) AS b
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
  LEFT JOIN LATERAL (
       SELECT c.relkind::text AS kind, n.nspname::text AS schema, c.relname::text AS name
         FROM waiting w
         JOIN pg_catalog.pg_class c ON c.oid = w.oid OR c.ctid = w.place
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE w.catalog = 'pg_catalog.pg_class'::pg_catalog.regclass
        UNION ALL
       SELECT 'schema', NULL, n.nspname
         FROM waiting w
         JOIN pg_catalog.pg_namespace n ON n.oid = w.oid OR n.ctid = w.place
        WHERE w.catalog = 'pg_catalog.pg_namespace'::pg_catalog.regclass
        UNION ALL
       SELECT 'database', NULL, d.datname
         FROM waiting w
         JOIN pg_catalog.pg_database d ON d.oid = w.oid OR d.ctid = w.place
        WHERE w.catalog = 'pg_catalog.pg_database'::pg_catalog.regclass
        UNION ALL
       SELECT 'role', NULL, r.rolname
         FROM waiting w
         JOIN pg_catalog.pg_roles r ON r.oid = w.oid
        WHERE w.catalog = 'pg_catalog.pg_authid'::pg_catalog.regclass
        LIMIT 1
       ) AS o ON true
 ORDER BY b.pid
