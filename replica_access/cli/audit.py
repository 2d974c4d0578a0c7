"""The audit: what is held against the current state, and what the rules are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from replica_access.cli.context import Context
from replica_access.cli.running import count, print_lines
from replica_access.errors import FindingsStand, Incomplete, UsageError

if TYPE_CHECKING:  # whoever asks for help waits for none of these
    from replica_access.findings import Audit

LEVELS = ("high", "medium", "low", "info", "never")

app = typer.Typer(invoke_without_command=True)


@app.callback()
def audit(
    context: typer.Context,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="|".join(LEVELS),
            help="Exit with 3 where there are findings as grave as this, or graver.",
        ),
    ] = "high",
    rules: Annotated[bool, typer.Option("--rules", help="List all rules, with their severity and reason.")] = False,
) -> None:
    """Hold servers, users, grants and addresses against the spec and against good practice; change nothing.

    Exit status: 3 where a finding is as grave as --fail-on or graver, whatever else; otherwise 4 where something could
    not be looked at, which is listed with the reason.

    replica-access audit

    replica-access audit --fail-on medium
    """
    if context.invoked_subcommand is not None:
        return
    call = Context.of(context)
    if fail_on not in LEVELS:
        raise UsageError(f"--fail-on is {fail_on}.", f"It is one of {', '.join(LEVELS)}.")
    if rules:
        _list_rules(call)
        return
    from replica_access import auditing, workflow
    from replica_access.cli import documents
    from replica_access.cli.audit_report import lines

    spec = call.spec()
    found = auditing.audit(spec, workflow.host(spec), call.terminal, datetime.now(UTC).date())
    call.terminal.close()
    if call.as_json:
        call.print_json("audit", documents.audit_document(found))
    else:
        print_lines(call, lines(found, with_evidence=not call.quiet))
    _judge(found, fail_on)


def _list_rules(call: Context) -> None:
    from replica_access.auditing import RULES
    from replica_access.cli.audit_report import rule_lines

    if call.as_json:
        listed = [{"id": rule.id, "severity": rule.severity, "reason": rule.reason} for rule in RULES]
        call.print_json("audit-rules", {"rules": listed})
    else:
        print_lines(call, rule_lines(RULES))


def _judge(found: Audit, fail_on: str) -> None:
    from replica_access.findings import SEVERITIES

    level = next((severity for severity in SEVERITIES if severity == fail_on), None)
    grave = found.at_or_above(level) if level is not None else ()
    unseen = f"{count(len(found.not_checked), 'thing')} could not be looked at"
    if grave:
        more = f" And {unseen}." if found.not_checked else ""
        what = f"{count(len(grave), 'finding')} of severity {fail_on}{' or graver' if fail_on != 'high' else ''}.{more}"
        raise FindingsStand(what, "Each has its remedy above; accept what is meant in [[accepted]] of the spec.")
    if found.not_checked:
        raise Incomplete(f"{unseen}.", "The reasons are above.")
