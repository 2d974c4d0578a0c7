"""The proof of every relation of the fixture: a whole run of the program, and psql with the same SELECTs in a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replica_access.sandbox.certificates import issue
from replica_access.sandbox.configuration import conninfo
from replica_access.sandbox.server import PostgresServer
from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.grants import PROGRAM
from tests.bench.measure import Took
from tests.bench.stage import ADMIN, DATABASE, Stage

READER, LOGIN = "proven", "witness"

SELECTS = """
SELECT format('SELECT * FROM %I.%I WHERE false;', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname LIKE 'sch\\_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
 ORDER BY c.oid"""


@dataclass(frozen=True, slots=True)
class Pair:
    """The stage, a replica of it, and a directory with a spec about both that has been applied."""

    stage: Stage
    replica: PostgresServer
    home: Path

    def verify(self) -> Took:
        return self._ours("verify", "--quiet")

    def apply(self) -> Took:
        return self._ours("apply", "--yes", "--quiet")

    def _ours(self, *arguments: str) -> Took:
        return measure.run([PROGRAM, *arguments], cwd=self.home, environment=self.stage.admin_environment)

    def psql(self) -> Took:
        """Psql as the same user, over TLS as well: one SELECT after the other, and nothing else of the proof."""
        password = (self.home / "password").read_text(encoding="utf-8").strip()
        return measure.run(
            [
                self.replica.installation.tool("psql"),
                *("-Xq", "-v", "ON_ERROR_STOP=1"),
                *("-d", _address(self.replica, LOGIN, DATABASE)),
                *("-f", self.home / "selects.sql"),
            ],
            cwd=self.home,
            environment={"PGPASSWORD": password},
        )


def figures(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Measure on a replica of `stage`, as a user who may read all of the fixture."""
    with paired(stage) as pair:
        us, bare = measure.by_turns(rounds, pair.verify, pair.psql)
    target = "at most 3 x, 150 MB"
    yield Figure("full proof", us.wall_s, "s", "psql, one file", bare.wall_s, target, memory_mb=us.peak_mb)


@contextmanager
def paired(stage: Stage) -> Iterator[Pair]:
    """Make a replica, and have the program grant everything; both are gone after the block."""
    certificate = issue(stage.authority, stage.directory / "certificate-of-replica")
    replica = PostgresServer.create_replica(
        stage.server, stage.directory / "replica", certificate=certificate, tied=True
    )
    try:
        pair = Pair(stage, replica, stage.write_spec("proof", _spec(stage, replica)))
        (pair.home / "selects.sql").write_text(stage.psql(SELECTS), encoding="utf-8")
        pair.apply()
        yield pair
    finally:
        replica.remove()
        stage.forget(READER, LOGIN)


def _spec(stage: Stage, replica: PostgresServer) -> str:
    return f"""[replica]
dsn = "{_address(replica, ADMIN, "postgres")}"
[roles.{READER}]
[users.{LOGIN}]
member_of = ["{READER}"]
secret = "file:{stage.directory}/proof/password"
[[grants]]
to = "{READER}"
databases = ["{DATABASE}"]
schemas = ["sch_*"]
"""


def _address(server: PostgresServer, user: str, database: str) -> str:
    where = {"host": server.host, "port": str(server.port), "user": user, "dbname": database}
    return conninfo({**where, "sslmode": "verify-full", "sslrootcert": str(server.bundle)})
