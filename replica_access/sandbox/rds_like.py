"""What makes a PostgreSQL server look like RDS inside: its roles, its databases, and what it has set."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from replica_access.sandbox.server import PostgresServer

__all__ = ["LOGS_IN_BY_IAM", "SUPERUSER", "make_rds_like", "scram_verifier", "settings"]

SUPERUSER = "rdsadmin"
SCRAM_ITERATIONS = 4096

# Since PostgreSQL 16 a member that may only grant a role has no use of it.
LOGS_IN_BY_IAM = r"""
SELECT pg_catalog.current_setting('server_version_num')::int >= 160000 AS has_grant_options \gset
\if :has_grant_options
SELECT pg_catalog.pg_has_role(oid, 'rds_iam', 'USAGE') OR pg_catalog.pg_has_role(oid, 'rds_iam', 'SET')
FROM pg_catalog.pg_roles WHERE rolname = :'user' AND NOT rolsuper;
\else
SELECT pg_catalog.pg_has_role(oid, 'rds_iam', 'MEMBER')
FROM pg_catalog.pg_roles WHERE rolname = :'user' AND NOT rolsuper;
\endif
"""


def settings(*, tls: bool) -> Mapping[str, str]:
    """What an RDS instance has set, as far as clients can see it."""
    return {"rds.force_ssl": "1" if tls else "0", "log_line_prefix": "%t:%r:%u@%d:[%p]:"}


def make_rds_like(server: PostgresServer, *, master: str, password: str) -> None:
    """Give a new primary RDS's roles, its database ``rdsadmin``, and the master user, who is not a superuser.

    The databases ``postgres`` and ``template1`` belong to the master user, as on RDS.

    :raises DatabaseError: the server refused a statement, as it does the second time.
    """
    script = Path(__file__).with_name("roles.sql").read_text(encoding="utf-8")
    server.psql(script, variables={"master": master, "verifier": scram_verifier(password)})


def scram_verifier(password: str, *, rounds: int = SCRAM_ITERATIONS) -> str:
    """The SCRAM-SHA-256 verifier that PostgreSQL stores for an ASCII password (RFC 5803, RFC 7677)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${rounds}:{salt64}${stored64}:{server64}"
