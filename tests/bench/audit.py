"""What an audit costs with 500 more roles: who may do what, `why`, and a whole run that is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.grants import PROGRAM
from tests.bench.measure import Took
from tests.bench.stage import ADMIN, Stage

ROLES = 500

# Every role, object and privilege.
COMPUTE = """
import os
import sys
from replica_access.audit.effective import Access
from replica_access.model import Login, Secret
from replica_access.postgres.audit_catalog import read_rights
from replica_access.postgres.connect import connect, parse_dsn
parameters = parse_dsn(sys.argv[1])
login = Login("", parameters, parameters.pop("dbname"), Secret(os.environ["PGPASSWORD"]))
with connect(login, read_only=True) as connection:
    rights = read_rights(connection)
access = Access(rights)
held = sum(len(access.holders(o, p)) * o.total for o in rights.objects for p in access.privileges(o))
assert held > 1_000_000, held
"""

# The least that an audit has to fetch: each owner and ACL once, and what has them.
FETCH = """
import sys
import psycopg
with psycopg.connect(sys.argv[1]) as connection:
    relations = "pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
    classes = connection.execute(f"SELECT relowner, relacl::text, count(*) FROM {relations} GROUP BY 1, 2").fetchall()
    names = connection.execute(f"SELECT relnamespace, relname FROM {relations}").fetchall()
"""

CONNECT = """
import sys
import psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("SELECT 1")
"""

MANY_ROLES = """
SET SESSION AUTHORIZATION :"admin";
SELECT format('CREATE ROLE crew_%s LOGIN IN ROLE team_%s', n, n % 10) FROM generate_series(1, :'count'::int) n
\\gexec
"""
FEWER_ROLES = r"""
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname LIKE 'crew\_%'
\gexec
"""


def figures(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Measure as the admin, who is no superuser."""
    home = stage.write_spec("audit", _SPEC)
    address, environment = stage.address(ADMIN), stage.admin_environment

    def script(code: str) -> Took:
        return measure.run([sys.executable, "-c", code, address], cwd=home, environment=environment)

    def ours(*arguments: str) -> Took:
        return measure.run([PROGRAM, *arguments, "--quiet"], cwd=home, environment=environment)

    with _applied(stage, lambda: ours("apply", "--yes")), _more_roles(stage):
        computed, fetched = measure.by_turns(rounds, lambda: script(COMPUTE), lambda: script(FETCH))
        asked, connected = measure.by_turns(
            rounds, lambda: ours("why", "crew_1", "sch_001.tab_0001"), lambda: script(CONNECT)
        )
        whole, listed = measure.by_turns(
            rounds,
            lambda: ours("audit", "--fail-on", "never"),
            lambda: measure.run(
                [stage.server.installation.tool("psql"), "-Xq", "-d", address, "-o", "/dev/null", "-c", r"\dp *.*"],
                cwd=home,
                environment=environment,
            ),
        )
    against = "psycopg, ACLs and names"
    yield Figure("who may do what", computed.wall_s, "s", against, fetched.wall_s, "at most 3 x, 300 MB",
                 memory_mb=computed.peak_mb)  # fmt: skip
    yield Figure("why", asked.wall_s, "s", "psycopg, SELECT 1", connected.wall_s, memory_mb=asked.peak_mb)
    yield Figure("audit", whole.wall_s, "s", against, fetched.wall_s, "at most 3 x, 300 MB", memory_mb=whole.peak_mb)
    yield Figure("audit", whole.wall_s, "s", r"psql \dp *.*", listed.wall_s, "less than 1 x")


@contextmanager
def _applied(stage: Stage, apply: Callable[[], Took]) -> Iterator[None]:
    """What is audited every night has been applied."""
    apply()
    try:
        yield
    finally:
        stage.forget("witness", "analytics")


@contextmanager
def _more_roles(stage: Stage) -> Iterator[None]:
    stage.psql(MANY_ROLES, admin=ADMIN, count=str(ROLES))
    try:
        yield
    finally:
        stage.psql(FEWER_ROLES)


_SPEC = """
[roles.analytics]
[users.witness]
member_of = ["analytics"]
secret = "file:password"
[[grants]]
to = "analytics"
databases = ["app"]
schemas = ["sch_*"]
"""
