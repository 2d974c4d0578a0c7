"""Other tools at the same task, on the same database, in the same run, where they are found. None is a dependency.

They are looked for in the virtual environment that REPLICA_ACCESS_PEERS names, which is made by::

    python3 -m venv peers && peers/bin/pip install ldap2pg==5.9 psycopg2-binary pgbedrock==0.4.2

They have it as easy as can be: a superuser's connection without TLS, and no default privileges. Terraform is left out:
its provider for PostgreSQL (cyrilgdn/postgresql) comes from no package index.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.grants import Tools
from tests.bench.stage import DATABASE, Stage

ENVIRONMENT = "REPLICA_ACCESS_PEERS"

Command = list[str | Path]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tool.

    :param module: the Python module that it is started from, by `start`.
    :param configure: writes its configuration into a directory, for a role that is there, and returns its arguments.
    :param target: how much faster ours should be when there is nothing to do.
    """

    name: str
    module: str
    start: str
    configure: Callable[[Stage, Path, str, Command], Command]
    target: str


def figures(stage: Stage, rounds: int) -> Iterator[Figure]:
    """Measure the first grant of each once, and nothing to do by turns with ours."""
    tools = Tools(stage)
    tools.anew()
    tools.apply()
    for peer in PEERS:
        if (found := _found(peer)) is None:
            print(f"{peer.name}: not found; {ENVIRONMENT} names where it would be", file=sys.stderr)
            continue
        reader = f"reader_of_{peer.module}"
        stage.make(reader)
        home = stage.directory / peer.module
        home.mkdir()
        command = [*found, *peer.configure(stage, home, reader, found)]
        run = partial(measure.run, command, cwd=home, environment=_environment(stage))
        first = run()
        stage.tidy()
        us, they = measure.by_turns(max(rounds, 5), tools.apply, run)
        yield Figure(f"{peer.name}: first grant", first.wall_s, "s", memory_mb=first.peak_mb)
        yield Figure("apply, nothing to do", us.wall_s, "s", peer.name, they.wall_s, peer.target, faster=True)
        stage.forget(reader)


def _found(peer: Peer) -> Command | None:
    """Return how the peer is started; ``None`` where it is not installed."""
    where = os.environ.get(ENVIRONMENT, "")
    python = Path(where) / "bin" / "python"
    if not where or not python.is_file() or not list(Path(where).glob(f"lib/*/site-packages/{peer.module}")):
        return None
    return [python, "-c", peer.start]


def _environment(stage: Stage) -> dict[str, str]:
    return stage.superuser_environment | {"PGDSN": stage.address(stage.server.superuser)}


def _schemas(stage: Stage) -> list[str]:
    return [f"sch_{number:03}" for number in range(stage.schemas)]


def _ldap2pg(stage: Stage, home: Path, reader: str, _: Command) -> Command:
    """A static configuration: no directory, and nobody else to manage."""
    (home / "ldap2pg.yml").write_text(
        f"""version: 5
postgres:
  databases_query: [{DATABASE}]
  schemas_query: [{", ".join(_schemas(stage))}]
  managed_roles_query: [public, {reader}]
privileges:
  reading: [__usage_on_schemas__, __select_on_all_tables__, __select_on_all_sequences__]
sync_map:
- role: {reader}
- grant: {{privilege: reading, database: {DATABASE}, schema: __all__, role: {reader}}}
""",
        encoding="utf-8",
    )
    return ["--real", "--quiet", "--config", home / "ldap2pg.yml"]


def _pgbedrock(stage: Stage, home: Path, reader: str, start: Command) -> Command:
    """It manages everything there is, and is asked for that first; what the reader shall have is added.

    Passwords, which it would take from the environment, are left out.
    """
    server = stage.server
    where = ["-h", server.host, "-p", str(server.port), "-U", server.superuser, "-w", server.superuser_password]
    address: Command = [*where, "-d", DATABASE]
    everything = measure.output([*start, "generate", *address], cwd=home, environment=_environment(stage))
    relations = json.dumps([f"{schema}.*" for schema in _schemas(stage)])
    wanted = f"""{reader}:
    privileges:
        schemas: {{read: {json.dumps(_schemas(stage))}}}
        tables: {{read: {relations}}}
        sequences: {{read: {relations}}}
"""
    lines = everything.replace(f"{reader}:\n", wanted).splitlines()
    (home / "pgbedrock.yml").write_text("\n".join(line for line in lines if "_PASSWORD" not in line), encoding="utf-8")
    return ["configure", home / "pgbedrock.yml", *address, "--live", "--no-attributes"]


PEERS = (
    Peer("ldap2pg 5.9", "ldap2pg", "from ldap2pg.script import main; main()", _ldap2pg, "faster"),
    # With today's psycopg2 it looks for a module that it does not import.
    Peer(
        "pgbedrock 0.4.2",
        "pgbedrock",
        "import psycopg2.tz; from pgbedrock.cli import entrypoint; entrypoint()",
        _pgbedrock,
        "at least 10 x as fast",
    ),
)
