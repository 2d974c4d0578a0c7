-- Who owns what has no privileges: publications, subscriptions, extensions, operators and all else that has an owner.
SELECT s.refobjid::bigint AS owner,
       i.type AS kind,
       i.identity AS name
  FROM pg_catalog.pg_shdepend s
 CROSS JOIN LATERAL pg_catalog.pg_identify_object(s.classid, s.objid, s.objsubid) i
 WHERE s.deptype = 'o'
   AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
   AND s.dbid IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
   AND s.classid IN (
       'pg_catalog.pg_collation'::pg_catalog.regclass, 'pg_catalog.pg_conversion'::pg_catalog.regclass,
       'pg_catalog.pg_event_trigger'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass,
       'pg_catalog.pg_opclass'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
       'pg_catalog.pg_opfamily'::pg_catalog.regclass, 'pg_catalog.pg_publication'::pg_catalog.regclass,
       'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, 'pg_catalog.pg_subscription'::pg_catalog.regclass,
       'pg_catalog.pg_ts_config'::pg_catalog.regclass, 'pg_catalog.pg_ts_dict'::pg_catalog.regclass)
 ORDER BY kind, name
