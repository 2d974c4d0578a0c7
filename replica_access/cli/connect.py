"""connect: psql on the replica as one of the users, or what another tool needs to get there."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from replica_access.cli.context import Context
from replica_access.errors import Error, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.model import Login
    from replica_access.spec import Spec

TOKEN_VALID = "A token is good for 15 minutes: this ends then for new connections. Sessions that are open go on."  # noqa: S105


def add_to(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(connect)


def connect(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="A user of the spec.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- PSQL…", help="For psql, after two dashes: -- -c 'SELECT 1'.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Database to begin in. Default: the first of the user's grants.")
    ] = None,
    replica: Annotated[str | None, typer.Option(help="Which one, where there are several. Default: the first.")] = None,
    url: Annotated[bool, typer.Option("--url", help="Print a URL, without the password.")] = False,
    pgpass: Annotated[
        bool, typer.Option("--pgpass", help="Print the line for ~/.pgpass; the password is in it.")
    ] = False,
    env: Annotated[
        bool, typer.Option("--env", help="Print the environment, for a shell's `eval`; the password is in it.")
    ] = False,
    with_password: Annotated[
        bool, typer.Option("--with-password", help="Put the password into the URL, or into the JSON document.")
    ] = False,
    psql: Annotated[
        Path | None,
        typer.Option(
            "--psql", metavar="FILE", help="The psql to run. Default: that of REPLICA_ACCESS_PG_BIN, or on the PATH."
        ),
    ] = None,
) -> None:
    """Open psql on the replica as this user, or print what another tool needs to connect.

    Nothing here needs the admin's rights: the user's secret and the endpoint are enough.

    replica-access connect bi

    replica-access connect bi -- -c 'SELECT count(*) FROM orders'

    replica-access connect bi --pgpass >> ~/.pgpass && psql "$(replica-access connect bi --url)"
    """
    call = Context.of(context)
    _require_one_form(call, url=url, pgpass=pgpass, env=env, with_password=with_password, psql=bool(arguments or psql))
    program = None if url or pgpass or env or call.as_json else find_psql(psql)
    spec = call.spec()
    login = _login(call, spec, user, replica, database)
    if program is not None:
        _run(call, program, login, arguments or [])
    elif call.as_json:
        call.print_json("connect", _document(spec, user, login, with_password=with_password))
    elif url:
        _print_url(call, user, login, with_password=with_password)
    elif pgpass:
        _print_pgpass(login, database)
    else:
        _print_environment(login)
    if program is None and spec.users[user].auth == "iam":
        call.terminal.note(TOKEN_VALID)


def _require_one_form(call: Context, *, url: bool, pgpass: bool, env: bool, with_password: bool, psql: bool) -> None:
    chosen = [name for name, given in (("--url", url), ("--pgpass", pgpass), ("--env", env)) if given]
    if call.as_json:
        chosen.append("--format json")
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} contradict each other.", "Choose one of them.")
    if chosen and psql:
        raise UsageError(f"With {chosen[0]} no psql is run.", "Leave --psql and what is for psql out.")
    if with_password and chosen not in (["--url"], ["--format json"]):
        raise UsageError("--with-password goes with --url or --format json.", "--pgpass and --env have it in any case.")


def _login(call: Context, spec: Spec, user: str, replica: str | None, database: str | None) -> Login:
    from replica_access import workflow

    today = datetime.now(UTC).date()
    login = workflow.reach(spec, workflow.host(spec), user, today=today, replica=replica, database=database)
    call.terminal.close()
    return replace(login, parameters={key: _anywhere(key, value) for key, value in login.parameters.items()})


def _anywhere(key: str, value: str) -> str:
    """Return the value of a parameter so that it means the same in another directory."""
    is_file = key in {"passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert"}
    return str(Path(value).absolute()) if is_file and value not in {"", "system"} else value


# --- psql ------------------------------------------------------------------------------------------------------------


def find_psql(named: Path | None) -> Path:
    """Return the psql to run: `named`, or that of REPLICA_ACCESS_PG_BIN, or on the PATH, or of the sandbox's wheel.

    :raises UsageError: it is named and not there.
    :raises Error: there is none.
    """
    if named is not None:
        return _runnable(named, "--psql")
    if directory := os.environ.get("REPLICA_ACCESS_PG_BIN"):
        return _runnable(Path(directory) / "psql", "REPLICA_ACCESS_PG_BIN")
    if on_path := shutil.which("psql"):
        return Path(on_path)
    from replica_access.sandbox.binaries import celerp_wheel, usable

    for found in map(usable, celerp_wheel()):
        if found is not None:
            return found.tool("psql")
    raise Error(
        "There is no psql on this machine.",
        "Install one (apt install postgresql-client, brew install libpq), or name it with --psql FILE; "
        "--url, --pgpass and --env need none.",
    )


def _runnable(program: Path, named_by: str) -> Path:
    if not program.is_file() or not os.access(program, os.X_OK):
        raise UsageError(f"{named_by} leads to {program}, which is no program.", "Name psql itself with --psql FILE.")
    return program


def _run(call: Context, program: Path, login: Login, arguments: Iterable[str]) -> NoReturn:
    """Become psql.

    The password goes by PGPASSWORD. What a process has in its environment its own user can read, and root, as they
    could a file of mode 0600; but a file would outlive a psql that is killed, since nobody is left to delete it, and
    arguments are everybody's to read. psql's children (a pager, `\\!`) inherit it: they are that same user's.
    """
    from replica_access import libpq, trust

    trust.require_trusted(login)
    if login.parameters.get("sslmode") not in trust.VERIFIED and not _is_local(login):
        call.terminal.note('The server\'s certificate is not verified: set sslmode = "verify-full" in the spec.')
    call.terminal.note(f"{login.parameters['user']} on {login.server}, database {login.database}")
    environment = {name: value for name, value in os.environ.items() if not _misleads(name, login)}
    if login.password is not None:
        environment["PGPASSWORD"] = login.password.reveal()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and psql would inherit that
    try:
        os.execve(program, ["psql", "--dbname", libpq.conninfo(login), *arguments], environment)  # noqa: S606
    except OSError as error:
        raise Error(f"{program} does not run: {error.strerror}.", "Name another one with --psql FILE.") from None


def _misleads(variable: str, login: Login) -> bool:
    """Whether a variable of this shell would have libpq connect as somebody else, or elsewhere."""
    from replica_access import libpq

    if variable in {"PGUSER", "PGDATABASE", "PGPASSWORD", "PGPASSFILE"}:
        return True
    return variable in libpq.LEADS_ELSEWHERE and "host" in login.parameters and "service" not in login.parameters


def _is_local(login: Login) -> bool:
    return login.parameters.get("host", "/").startswith(("/", "@"))


# --- for other tools -------------------------------------------------------------------------------------------------


def _print_url(call: Context, user: str, login: Login, *, with_password: bool) -> None:
    from replica_access import libpq

    typer.echo(libpq.url(login, with_password=with_password))
    if not with_password:
        call.terminal.note(
            f"The password is not in it: `replica-access connect {user} --pgpass >> ~/.pgpass` lets libpq find it, "
            "--with-password puts it in."
        )


def _print_pgpass(login: Login, database: str | None) -> None:
    from replica_access import libpq

    for line in libpq.pgpass(login, database or "*"):
        typer.echo(line)


def _print_environment(login: Login) -> None:
    from replica_access import libpq

    for line in libpq.exports(libpq.environment(login)):
        typer.echo(line)


def _document(spec: Spec, user: str, login: Login, *, with_password: bool) -> dict[str, Any]:
    from replica_access import libpq

    parameters = login.parameters
    port = parameters.get("port", "")
    document: dict[str, Any] = {
        "user": user,
        "replica": login.server,
        "host": parameters.get("host"),
        "port": int(port) if port.isdecimal() else port or None,
        "database": login.database,
        "sslmode": parameters.get("sslmode"),
        "sslrootcert": parameters.get("sslrootcert"),
        "auth": spec.users[user].auth,
        "password_in": None if spec.users[user].auth == "iam" else spec.secret_of(user),
        "url": libpq.url(login),
    }
    if with_password and login.password is not None:
        document["password"] = login.password.reveal()
        document["password_valid_s"] = 900 if spec.users[user].auth == "iam" else None
    return document
