-- Whom a session waits for, and about what. A GRANT writes the catalog row that stands for an object; where somebody
-- else has written that row and not ended yet, it waits with a lock on the row as it was.
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
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_class c ON c.ctid = pg_catalog.format('(%%s,%%s)', l.page, l.tuple)::tid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE l.pid = %(pid)s
          AND l.locktype = 'tuple'
          AND l.relation = 'pg_catalog.pg_class'::pg_catalog.regclass
        UNION ALL
       SELECT 'schema', NULL, n.nspname
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_namespace n ON n.ctid = pg_catalog.format('(%%s,%%s)', l.page, l.tuple)::tid
        WHERE l.pid = %(pid)s
          AND l.locktype = 'tuple'
          AND l.relation = 'pg_catalog.pg_namespace'::pg_catalog.regclass
        UNION ALL
       SELECT 'database', NULL, d.datname
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_database d ON d.ctid = pg_catalog.format('(%%s,%%s)', l.page, l.tuple)::tid
        WHERE l.pid = %(pid)s
          AND l.locktype = 'tuple'
          AND l.relation = 'pg_catalog.pg_database'::pg_catalog.regclass
        UNION ALL
       SELECT 'role', NULL, r.rolname
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_roles r ON r.oid = l.objid
        WHERE l.pid = %(pid)s
          AND NOT l.granted
          AND l.locktype = 'object'
          AND l.classid = 'pg_catalog.pg_authid'::pg_catalog.regclass
        LIMIT 1
       ) AS o ON true
 ORDER BY b.pid
