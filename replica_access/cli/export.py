"""The same set-up for people who deploy by other means: a template, policies, a script."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli.context import Context
from replica_access.cli.running import AllowWide, SkipBlocked
from replica_access.errors import UsageError

if TYPE_CHECKING:  # whoever asks for help waits for it
    from replica_access.model import Plan

app = typer.Typer(help="Write the set-up down for people who deploy by other means.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there, instead of printing it.")]


class For(StrEnum):
    """Who needs a policy."""

    PROVISION = "provision"
    AUDIT = "audit"
    CONNECT = "connect"


class Script(StrEnum):
    """Whom a script makes."""

    READERS = "readers"
    AUDIT = "audit"


@app.command()
def cloudformation(context: typer.Context, allow_wide: AllowWide = False, out: Out = None) -> None:
    """Print a CloudFormation template: the replica, its security group, and what else it needs.

    It is made of the calls that `apply` would make if nothing of it were there. Each allowed address is a parameter.
    YAML, or JSON with --format json. What stands in its way is said on standard error.

    replica-access export cloudformation --out replica.yaml
    """
    from replica_access import exporting
    from replica_access.cli import as_yaml
    from replica_access.model import Request

    call = Context.of(context)
    document, notes = exporting.template(call.spec(), call.terminal, Request(allow_wide=allow_wide))
    _deliver(call, _json(document) if call.as_json else as_yaml.written(document), out, notes)


@app.command("iam-policy")
def iam_policy(
    context: typer.Context,
    purpose: Annotated[
        For, typer.Option("--for", metavar="provision|audit|connect", help="Whom it is for; connect takes a USER.")
    ],
    user: Annotated[str | None, typer.Argument(metavar="USER", help="Who logs in by IAM, for --for connect.")] = None,
    out: Out = None,
) -> None:
    """Print the IAM policy for whoever provisions, audits, or connects: what is needed, on what the spec names.

    provision is for everything from `init` to `destroy`, audit for what only looks: `check`, `plan`, `verify`,
    `audit` and `user list`.
    connect lets its holder log in as one user on the replica, and not on the primary.

    replica-access export iam-policy --for provision

    replica-access export iam-policy --for connect bi
    """
    from replica_access import exporting

    call = Context.of(context)
    if (purpose is For.CONNECT) != (user is not None):
        raise UsageError(
            "--for connect takes the user who connects, and nothing else does.", "Write --for connect USER."
        )
    policy, notes = exporting.policy(call.spec(), purpose.value, user)
    _deliver(call, _json(policy), out, notes)


@app.command()
def sql(
    context: typer.Context,
    purpose: Annotated[
        Script, typer.Option("--for", metavar="readers|audit", help="Whom it makes: the readers, or who audits them.")
    ] = Script.READERS,
    role: Annotated[
        str | None, typer.Option("--role", metavar="NAME", help="What the login that audits is called; auditor.")
    ] = None,
    skip_blocked: SkipBlocked = False,
    out: Out = None,
) -> None:
    """Print a psql script that makes the users and all that they are granted, and stops on the first error.

    It is the whole set-up, as if nothing of it were there, and can be run again; `plan --sql` prints what is missing
    now. No password is in it: it names the logins that need one.

    With --for audit it makes the login that `audit` needs instead: one that may connect to every database, and can
    read no table and change nothing.

    Run it on the primary, as the admin: psql -f readers.sql "host=db1 dbname=postgres user=admin"

    replica-access export sql --out readers.sql

    replica-access export sql --for audit --out auditor.sql
    """
    from replica_access import exporting, workflow
    from replica_access.outlook import refuse_what_stands_in_the_way
    from replica_access.postgres import script

    call = Context.of(context)
    if role is not None and purpose is not Script.AUDIT:
        raise UsageError("--role names the login that audits.", "Say --for audit with it, or leave it out.")
    spec = call.spec()
    hosting = workflow.host(spec)
    roles: tuple[str, ...]
    if purpose is Script.AUDIT:
        roles = (role if role is not None else "auditor",)
        outlook = exporting.auditor(spec, hosting, call.terminal, roles[0])
        what = "the login that audits, which may connect to every database and has no other right"
    else:
        outlook = exporting.grants(spec, hosting, call.terminal)
        roles, what = (*spec.roles, *spec.users), "the readers and all that they are granted"
    refuse_what_stands_in_the_way(outlook, skip_blocked=skip_blocked)
    _deliver_script(call, outlook.plan, script.render_set_up(outlook.plan, spec.primary.database, roles, what), out)


def _deliver_script(call: Context, plan: Plan, text: str, out: Path | None) -> None:
    from replica_access.cli import documents

    text = documents.printable(text)
    notes = [f"{pending.kind} {pending.name}: {pending.reason}" for pending in plan.pending]
    notes += [f"left out: {blocked.object}: {blocked.reason}" for blocked in plan.blocked]
    if call.as_json and out is None:
        text = _json({"schema": "replica-access/export-sql/1", "sql": text, "notes": notes})
    _deliver(call, text, out, notes)


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


def _deliver(call: Context, text: str, out: Path | None, notes: Iterable[str]) -> None:
    """Print `text` and nothing else on standard output, or write it to a file; say on standard error what to know."""
    from replica_access import starter

    call.terminal.close()
    if out is None:
        sys.stdout.write(text)
    else:
        starter.write(out, text)
    for note in notes:
        call.terminal.note(note)
    if out is not None and call.as_json:
        call.print_json("export", {"file": str(out)})
    elif out is not None:
        call.terminal.note(f"Wrote {out}.")
