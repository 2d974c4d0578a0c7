"""What is asked in one pipeline is asked of one snapshot, without a BEGIN that would be a statement more."""

from __future__ import annotations

import psycopg

from replica_access.model import Login, Secret
from replica_access.postgres.connect import connect, parse_dsn
from replica_access.sandbox.server import PostgresServer

QUESTION = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relname = 'between_two_questions'"


def test_what_is_committed_between_two_questions_of_a_pipeline_is_not_seen(primary: PostgresServer) -> None:
    parameters = parse_dsn(primary.dsn())
    login = Login("", parameters, password=Secret(parameters.pop("password")))
    with connect(login, read_only=True) as connection, psycopg.connect(primary.dsn(), autocommit=True) as other:
        try:
            with connection.pipeline():
                assert connection.execute(QUESTION).fetchone() == (0,)
                other.execute("CREATE TABLE public.between_two_questions ()")
                assert connection.execute(QUESTION).fetchone() == (0,)
            assert connection.execute(QUESTION).fetchone() == (1,)
        finally:
            other.execute("DROP TABLE IF EXISTS public.between_two_questions")
