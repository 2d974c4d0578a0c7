"""Granting, looking with nothing to do, and one new table: whole runs of the program, and of a yardstick.

The yardstick is `floor.py`: the same task without any safety, as the same admin, over the same TLS. Both grant to a
role of their own, which is there already and may connect.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.measure import Served, Took
from tests.bench.stage import ADMIN, DATABASE, READER, Stage

PROGRAM = Path(sys.executable).with_name("replica-access")
FLOOR = Path(__file__).with_name("floor.py")
YARDSTICK = "floor.py"
BARE_READER, FLOOR_READER = "bare", "floor"
READERS = (READER, FLOOR_READER, BARE_READER)

SPEC = f"""[roles.{READER}]
[[grants]]
to = "{READER}"
databases = ["{DATABASE}"]
schemas = ["sch_*"]
"""

BEST_QUERY = """
SELECT c.oid
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname LIKE 'sch\\_%'
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND NOT c.relacl @> makeaclitem(:'reader'::regrole, c.relowner, 'SELECT', false)"""


class Tools:
    """The program, and what it is held against: each run is a process of its own."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.home = stage.write_spec("grants", SPEC)
        self.bare_script = self.home / "bare.sql"
        self.bare_script.write_text(_bare_script(stage), encoding="utf-8")

    def apply(self) -> Took:
        return self._ours("apply", "--yes", "--quiet")

    def plan(self) -> Took:
        return self._ours("plan", "--quiet")

    def _ours(self, *arguments: str) -> Took:
        return measure.run([PROGRAM, *arguments], cwd=self.home, environment=self.stage.admin_environment)

    def floor(self) -> Took:
        """The least that a Python program can do."""
        return measure.run(
            [sys.executable, FLOOR, self.stage.address(ADMIN), FLOOR_READER],
            cwd=self.home,
            environment=self.stage.admin_environment,
        )

    def bare(self) -> Took:
        """Psql with the statements that somebody would type, in one transaction, as a superuser."""
        server = self.stage.server
        address = self.stage.address(server.superuser)
        return measure.run(
            [server.installation.tool("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", address, "-f", self.bare_script],
            cwd=self.home,
            environment=self.stage.superuser_environment,
        )

    def anew(self) -> None:
        """Make the roles again, and nothing that they may do; the program remembers no run."""
        self.stage.forget(*READERS)
        self.stage.make(*READERS)
        (self.home / "replica-access.state.json").unlink(missing_ok=True)
        self.stage.tidy()

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
    return f"""BEGIN;
GRANT USAGE ON SCHEMA {schemas} TO {BARE_READER};
GRANT SELECT ON ALL TABLES IN SCHEMA {schemas} TO {BARE_READER};
GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schemas} TO {BARE_READER};
{future} TABLES TO {BARE_READER};
{future} SEQUENCES TO {BARE_READER};
COMMIT;
"""


def figures(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Measure one use after the other on `stage`, each `rounds` times; the best one counts."""
    tools = Tools(stage)
    yield from _first(tools, rounds)
    tools.anew()
    for prepare in (tools.apply, tools.bare, tools.floor):
        prepare()
    stage.tidy()
    yield from _nothing_to_do(tools, max(rounds, 7))
    yield from _one_table(tools, rounds)


AT_MOST = "at most 1.3 x"


def _first(tools: Tools, rounds: int) -> Iterator[Figure]:
    def anew(tool: Callable[[], Took]) -> Took:
        tools.anew()
        return tool()

    us, least, psql = measure.by_turns(
        rounds, *(partial(anew, tool) for tool in (tools.apply, tools.floor, tools.bare))
    )
    tools.anew()
    sent = len(tools.served(tools.apply).statements)
    yield Figure("first grant", us.wall_s, "s", YARDSTICK, least.wall_s, AT_MOST, memory_mb=us.peak_mb, statements=sent)
    yield Figure("", us.wall_s, "s", "psql, ALL TABLES IN SCHEMA", psql.wall_s, "faster", faster=True)
    budget = 30 + tools.stage.relations // 1000
    yield Figure("first grant: statements", sent, "", target=f"at most {budget}")


def _nothing_to_do(tools: Tools, rounds: int) -> Iterator[Figure]:
    plan, apply, least = measure.by_turns(rounds, tools.plan, tools.apply, tools.floor)
    logs, queries = zip(*((tools.served(tools.plan), _best_query(tools.stage)) for _ in range(rounds)), strict=True)
    ours = min(logs, key=lambda found: found.total_ms)
    for what, took, sent in (
        ("plan, nothing to do", plan, len(ours.statements)),
        ("apply, nothing to do", apply, len(tools.served(tools.apply).statements)),
    ):
        yield Figure(what, took.wall_s, "s", YARDSTICK, least.wall_s, AT_MOST, memory_mb=took.peak_mb, statements=sent)
    yield Figure("plan, nothing to do: server time", ours.total_ms, "ms", "best query", min(queries), "at most 2 x")
    written, bare = tools.wal_bytes(tools.apply), tools.wal_bytes(tools.bare)
    yield Figure("apply, nothing to do: WAL", written, "bytes", "psql, ALL TABLES IN SCHEMA", bare, "0 bytes")


def _best_query(stage: Stage) -> float:
    """The server's own time for the query alone that finds what cannot be read, in ms."""
    start = stage.server.log_path.stat().st_size
    stage.psql(f"SET log_min_duration_statement = 0; {BEST_QUERY}", reader=READER)
    with stage.server.log_path.open("rb") as log:
        log.seek(start)
        return measure.served(log.read().decode()).statements[-1][1]


def _one_table(tools: Tools, rounds: int) -> Iterator[Figure]:
    """One table more, of an owner who gives nothing by default."""
    stage = tools.stage

    def made(tool: Callable[[], Took]) -> Took:
        stage.psql("DROP TABLE IF EXISTS sch_000.fresh; CREATE TABLE sch_000.fresh (id int)")
        stage.psql("ALTER TABLE sch_000.fresh OWNER TO creator_0")
        return tool()

    us, least = measure.by_turns(rounds, partial(made, tools.apply), partial(made, tools.floor))
    sent = tools.served(partial(made, tools.apply)).statements
    naming = sum("GRANT SELECT" in text and "fresh" in text for text, _ in sent)
    stage.psql("DROP TABLE sch_000.fresh")
    what, others = "one new table", sum("GRANT SELECT" in text for text, _ in sent) - naming
    yield Figure(what, us.wall_s, "s", YARDSTICK, least.wall_s, AT_MOST, memory_mb=us.peak_mb, statements=len(sent))
    yield Figure(f"{what}: GRANTs that name it", naming, "", target="1")
    yield Figure(f"{what}: other GRANTs of SELECT", others, "", target="0")
