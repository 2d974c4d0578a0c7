-- What every session of ours has. An empty search path: no name is ever looked up by it.
SELECT pg_catalog.set_config('client_encoding', %(client_encoding)s, false),
       pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle_timeout)s, false),
       pg_catalog.set_config('default_transaction_read_only', %(read_only)s, false),
       pg_catalog.set_config('search_path', '', false),
       pg_catalog.set_config('DateStyle', 'ISO', false),
       pg_catalog.set_config('standard_conforming_strings', 'on', false)
