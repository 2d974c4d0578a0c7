"""The pipeline on real servers: an answer a statement, in order, and no way to hang."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import psycopg
import pytest

from replica_access.postgres import pipeline
from replica_access.postgres.pipeline import Answer
from replica_access.sandbox.server import PostgresServer


@pytest.fixture
def connection(primary: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(primary.dsn(), autocommit=True) as connection:
        connection.execute("SET log_statement = none")
        yield connection


def test_an_error_is_an_answer_and_disturbs_no_other(connection: psycopg.Connection[Any]) -> None:
    statements = [b"SELECT 1", b"SELECT 1/0", b"nonsense", b"", b"CREATE TEMP TABLE kept ()", b"SELECT FROM kept"]
    answers = list(pipeline.run(connection, statements))
    assert [answer.sqlstate for answer in answers] == [None, "22012", "42601", None, None, None]
    assert [answer.index for answer in answers] == list(range(6))
    assert answers[1] == Answer(1, "22012", "division by zero")
    assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.parametrize("window", [1, 2, 3, 100])
@pytest.mark.parametrize("number", [0, 1, 2, 99, 100, 101, 250])
def test_windows(connection: psycopg.Connection[Any], window: int, number: int) -> None:
    statements = (f"SELECT 1 / ({index} % 3)".encode() for index in range(number))
    answers = list(pipeline.run(connection, statements, window=window))
    assert [answer.sqlstate is None for answer in answers] == [index % 3 != 0 for index in range(number)]
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_much_in_both_directions_at_once(connection: psycopg.Connection[Any]) -> None:
    """More than both sides' buffers hold: who only writes, or only reads, would wait for ever."""
    statement = b"SELECT '" + b"x" * 100_000 + b"'"
    assert sum(answer.sqlstate is None for answer in pipeline.run(connection, repeat(statement, 300))) == 300


def test_statements_are_taken_as_they_are_needed(connection: psycopg.Connection[Any]) -> None:
    taken = 0

    def statements() -> Iterator[bytes]:
        nonlocal taken
        for taken in range(1, 1001):  # noqa: B007
            yield b"SELECT 1"

    answers = pipeline.run(connection, statements(), window=10)
    next(answers)
    assert taken == 10
    answers.close()  # type: ignore[attr-defined]
    assert connection.closed


def test_a_connection_that_is_lost(connection: psycopg.Connection[Any]) -> None:
    statements = [b"SELECT 1", b"SELECT pg_terminate_backend(pg_backend_pid())", b"SELECT 1"]
    with pytest.raises(psycopg.OperationalError):
        list(pipeline.run(connection, statements))
    assert connection.closed


def test_a_server_that_falls_silent(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"said nothing for 0\.2 seconds"):
        list(pipeline.run(connection, [b"SELECT pg_sleep(20)"], silence_s=0.2))
    assert connection.closed
