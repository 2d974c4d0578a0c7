"""Passwords that are checked in an instant, for servers that thousands of connections are made to."""

from __future__ import annotations

from collections.abc import Mapping

from replica_access.sandbox.rds_like import scram_verifier
from replica_access.sandbox.server import PostgresServer

__all__ = ["make_logins_cheap"]


def make_logins_cheap(server: PostgresServer, passwords: Mapping[str, str]) -> None:
    """Keep the passwords of these roles, with one round of hashing instead of thousands.

    The client does the rounds, at every login. They are to slow down whoever guesses passwords; these are random.
    """
    names = {f"name{n}": name for n, name in enumerate(passwords)}
    verifiers = {f"verifier{n}": scram_verifier(password, rounds=1) for n, password in enumerate(passwords.values())}
    alter = "".join(f"ALTER ROLE :\"name{n}\" PASSWORD :'verifier{n}';" for n in range(len(passwords)))
    server.psql(f"SET log_statement = 'none'; {alter}", variables={**names, **verifiers})
