-- What every session of ours has. An empty search path: no name is ever looked up by it. What is asked in one pipeline is
-- asked of one snapshot. A catalog query is over before a compiler is ready for it, and the planner, which does not know
-- how few kinds of ACLs there are, would sort what is better hashed: in memory, where 200,000 relations take 13 MB.
SELECT pg_catalog.set_config('client_encoding', %(client_encoding)s, false),
       pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle_timeout)s, false),
       pg_catalog.set_config('default_transaction_read_only', %(read_only)s, false),
       pg_catalog.set_config('default_transaction_isolation', 'repeatable read', false),
       pg_catalog.set_config('jit', 'off', false),
       pg_catalog.set_config('enable_mergejoin', 'off', false),
       pg_catalog.set_config('work_mem', GREATEST(
         pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) / 1024, 32768)::text, false),
       pg_catalog.set_config('search_path', '', false),
       pg_catalog.set_config('DateStyle', 'ISO', false),
       pg_catalog.set_config('standard_conforming_strings', 'on', false)
