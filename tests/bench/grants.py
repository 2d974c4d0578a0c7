"""Granting, planning with nothing to do, granting again, and one table that is missing: whole runs of the program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.measure import Served, Took
from tests.bench.stage import ADMIN, DATABASE, LOGIN, READER, Stage

PROGRAM = Path(sys.executable).with_name("replica-access")
FLOOR = Path(__file__).with_name("floor.py")
BARE_READER, FLOOR_READER = "bare", "floor"

BEST_QUERY = """
SELECT c.oid
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname LIKE 'sch\\_%'
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND NOT c.relacl @> makeaclitem(:'reader'::regrole, c.relowner, 'SELECT', false)"""


def figures(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Measure one use after the other on `stage`, each `rounds` times; the best one counts."""
    tools = Tools(stage)
    yield from _first(tools, rounds)
    stage.forget(READER, LOGIN, BARE_READER, FLOOR_READER)
    for prepare in (tools.apply, tools.bare, tools.floor):
        prepare()
    stage.forget()
    yield from _nothing_to_do(tools, rounds)
    yield from _again(tools)
    yield from _one_table(tools, rounds)


class Tools:
    """The program, and what it is held against: each run is a process of its own."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.home = stage.write_spec()
        self.bare_script = self.home / "bare.sql"
        self.bare_script.write_text(_bare_script(stage), encoding="utf-8")

    def apply(self) -> Took:
        return self._ours("apply", "--yes", "--quiet")

    def plan(self) -> Took:
        return self._ours("plan", "--quiet")

    def _ours(self, *arguments: str) -> Took:
        return measure.run([PROGRAM, *arguments], cwd=self.home, environment=self.stage.admin_environment)

    def bare(self) -> Took:
        """Psql with the nine statements that somebody would type, in one transaction."""
        server = self.stage.server
        address = self.stage.address(server.superuser)
        return measure.run(
            [server.installation.tool("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", address, "-f", self.bare_script],
            cwd=self.home,
            environment=self.stage.superuser_environment,
        )

    def floor(self) -> Took:
        """The least that a Python program can do."""
        return measure.run(
            [sys.executable, FLOOR, self.stage.address(self.stage.server.superuser), FLOOR_READER],
            cwd=self.home,
            environment=self.stage.superuser_environment,
        )

    def served(self, tool: Callable[[], Took]) -> Served:
        """What the server logs of one run."""
        with self.stage.logging() as logged:
            tool()
            return measure.served(logged())

    def wal_bytes(self, tool: Callable[[], Took]) -> int:
        """What the server writes to its log during one run; the server writes a little by itself now and then."""
        written = []
        for _ in range(2):
            self.stage.psql("CHECKPOINT")
            before = self.stage.psql("SELECT pg_catalog.pg_current_wal_insert_lsn()")
            tool()
            sql = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), :'before')"
            written.append(int(self.stage.psql(sql, before=before)))
        return min(written)


def _bare_script(stage: Stage) -> str:
    schemas = ", ".join(f"sch_{number:03}" for number in range(stage.schemas))
    creators = ", ".join(f"creator_{number}" for number in range(10))
    future = f"ALTER DEFAULT PRIVILEGES FOR ROLE {creators} IN SCHEMA {schemas} GRANT SELECT ON"
    # Again, for a reader that is there already, it is the same but for the role.
    return f"""BEGIN;
SELECT pg_catalog.to_regrole('{BARE_READER}') IS NULL AS is_new \\gset
\\if :is_new
CREATE ROLE {BARE_READER};
\\endif
GRANT CONNECT ON DATABASE {DATABASE} TO {BARE_READER};
GRANT USAGE ON SCHEMA {schemas} TO {BARE_READER};
GRANT SELECT ON ALL TABLES IN SCHEMA {schemas} TO {BARE_READER};
GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schemas} TO {BARE_READER};
{future} TABLES TO {BARE_READER};
{future} SEQUENCES TO {BARE_READER};
COMMIT;
"""


def _first(tools: Tools, rounds: int) -> Iterator[Figure]:
    def anew(tool: Callable[[], Took]) -> Took:
        tools.stage.forget(READER, LOGIN, BARE_READER, FLOOR_READER)
        return tool()

    us, psql, least = measure.by_turns(
        rounds, *(partial(anew, tool) for tool in (tools.apply, tools.bare, tools.floor))
    )
    tools.stage.forget(READER, LOGIN, BARE_READER, FLOOR_READER)
    statements = tools.served(tools.apply)
    budget = f"at most {30 + tools.stage.relations // 1000}"
    yield Figure("first apply", us.wall_s, "s", "psql, bare", psql.wall_s, "at least 1.5 x as fast", faster=True)
    yield Figure("first apply", us.wall_s, "s", "floor.py", least.wall_s)
    yield Figure("first apply: peak memory", us.peak_mb, "MB", "floor.py", least.peak_mb)
    yield Figure("first apply: processor time", us.cpu_s, "s", "floor.py", least.cpu_s)
    yield Figure("first apply: server time", statements.total_ms, "ms")
    yield Figure("first apply: statements", len(statements.statements), "", target=budget)


def _nothing_to_do(tools: Tools, rounds: int) -> Iterator[Figure]:
    runs = max(rounds, 5)
    us, least = measure.by_turns(runs, tools.plan, tools.floor)
    logs, queries = zip(*((tools.served(tools.plan), _best_query(tools.stage)) for _ in range(runs)), strict=True)
    ours = min(logs, key=lambda found: found.total_ms)
    yield Figure("plan, nothing to do: server time", ours.total_ms, "ms", "best query", min(queries), "at most 3 x")
    yield Figure("plan, nothing to do: statements", len(ours.statements), "", target="at most 10")
    yield Figure("plan, nothing to do", us.wall_s, "s", "floor.py", least.wall_s)
    yield Figure("plan, nothing to do: peak memory", us.peak_mb, "MB", "floor.py", least.peak_mb)
    parts = _parts(tools)
    for name, seconds in parts.items():
        yield Figure(f"plan, nothing to do: {name}", seconds * 1000, "ms")
    rest = us.wall_s - sum(parts.values()) - ours.total_ms / 1000
    yield Figure("plan, nothing to do: the rest of ours", rest * 1000, "ms")


def _best_query(stage: Stage) -> float:
    """The server's own time for the query alone that finds what cannot be read, in ms."""
    start = stage.server.log_path.stat().st_size
    stage.psql(f"SET log_min_duration_statement = 0; {BEST_QUERY}", reader=READER)
    with stage.server.log_path.open("rb") as log:
        log.seek(start)
        return measure.served(log.read().decode()).statements[-1][1]


CONNECT = """
import os, time
from replica_access.model import Login
from replica_access.postgres.connect import connect, parse_dsn
login = Login("bench", parse_dsn({dsn!r}))
began = time.perf_counter()
for database in ("postgres", {database!r}):
    connect(login, database=database, read_only=True).close()
print(time.perf_counter() - began)
"""

MODULES = """
import sys
from replica_access.cli.app import main
try:
    main(["plan", "--quiet"])
finally:
    sys.stderr.write("\\n".join(sys.modules))
"""


def _parts(tools: Tools) -> dict[str, float]:
    """What a plan takes before it asks the first question, in seconds."""
    environment = measure.clean_environment() | tools.stage.admin_environment
    dsn = tools.stage.address(ADMIN).replace(f"dbname='{DATABASE}'", "")
    loaded = measure.python(MODULES, cwd=tools.home, environment=environment).stderr.split()
    # The program's own settings of the garbage collector come with its modules, but for the end.
    everything = "import gc, importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\ngc.freeze()"
    ours = [name for name in loaded if name.split(".")[0] not in {"__main__", "site", "sitecustomize"}]
    nothing, imports = measure.by_turns(
        5,
        lambda: measure.run([sys.executable, "-c", "pass"], cwd=tools.home),
        lambda: measure.run([sys.executable, "-c", everything, *ours], cwd=tools.home),
    )
    script = CONNECT.format(dsn=dsn, database=DATABASE)
    connects = [float(measure.python(script, cwd=tools.home, environment=environment).stdout) for _ in range(5)]
    return {
        "interpreter": nothing.wall_s,
        "imports": imports.wall_s - nothing.wall_s,
        "two connections": min(connects),
    }


def _again(tools: Tools) -> Iterator[Figure]:
    ours, bare = tools.wal_bytes(tools.apply), tools.wal_bytes(tools.bare)
    statements = tools.served(tools.apply)
    yield Figure("second apply: written to WAL", ours, "bytes", "psql, bare", bare, "0 bytes")
    yield Figure("second apply: statements", len(statements.statements), "")


def _one_table(tools: Tools, rounds: int) -> Iterator[Figure]:
    stage = tools.stage

    def missing(tool: Callable[[], Took]) -> Took:
        stage.psql(f"REVOKE SELECT ON sch_000.tab_0001 FROM {READER}, {FLOOR_READER}, {BARE_READER}")
        return tool()

    us, least, psql = measure.by_turns(
        rounds, *(partial(missing, tool) for tool in (tools.apply, tools.floor, tools.bare))
    )
    stage.psql(f"REVOKE SELECT ON sch_000.tab_0001 FROM {READER}")
    statements = tools.served(tools.apply)
    yield Figure("apply, one table missing", us.wall_s, "s", "psql, bare", psql.wall_s, faster=True)
    yield Figure("apply, one table missing", us.wall_s, "s", "floor.py", least.wall_s)
    yield Figure("apply, one table missing: statements", len(statements.statements), "")
