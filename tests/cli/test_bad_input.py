"""What goes wrong before anything is changed: a sentence that says what to do, the right exit status, no traceback."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.cli.program import Program, Ran


def assert_refused(ran: Ran, status: int, *words: str) -> None:
    """It failed, said these things to people only, and gave no traceback."""
    assert ran.status == status, ran
    assert ran.out == ""
    assert not ran.has_traceback, ran.err
    assert ran.err.startswith("Error: "), ran.err
    for each in words:
        assert each in ran.err, ran.err


# --- the spec --------------------------------------------------------------------------------------------------------

HEAD = 'version = 1\n[primary]\ndsn = "host=db1"\n'
WRONG_SPECS = {
    "empty": ("", ["version: is missing", "primary: is missing"]),
    "broken TOML": ("version = 1\n[primary\n", ["replica-access.toml is not TOML", "line 2", "Mend that line."]),
    "unknown key": (
        HEAD + 'instnce = "x"\n',
        ["replica-access.toml:4: primary.instnce: unknown key; allowed here: instance, dsn, database,"],
    ),
    "unknown key in an array": (
        HEAD + '[[network.allow]]\ncidr = "192.0.2.1"\n[[network.allow]]\ncidr = "192.0.2.2"\nexpire = 2027-01-01\n',
        [
            "replica-access.toml:8: network.allow[2].expire: unknown key; allowed here: cidr, prefix_list,",
            "prefix_list, security_group, note, expires.",
        ],
    ),
    "bad CIDR": (
        HEAD + '[[network.allow]]\ncidr = "192.0.2.0/33"\n',
        ["replica-access.toml:5: network.allow[1].cidr: '192.0.2.0/33': not an address or network; write 203.0.113."],
    ),
    "undefined role": (
        HEAD + '[roles.analytics]\n[[grants]]\nto = "analysts"\ndatabases = ["app"]\n',
        [
            "replica-access.toml:6: grants[1].to: names analysts, ",
            "which is no role or user of this spec; defined are: analytics.",
        ],
    ),
    "undefined group": (
        HEAD + '[users.bi]\nmember_of = ["analytics"]\n',
        [
            "replica-access.toml:5: users.bi.member_of: names analytics, ",
            "which is no role of this spec; defined are: none.",
        ],
    ),
    "impossible date": (
        HEAD + "[users.bi]\nvalid_until = 2027-02-30\n",
        ["replica-access.toml is not TOML: Invalid date", "line 5"],
    ),
    "impossible date in quotes": (
        HEAD + '[users.bi]\nvalid_until = "2027-02-30"\n',
        ["replica-access.toml:5: users.bi.valid_until: '2027-02-30' is no date; write 2027-01-31."],
    ),
    "wrong types": (
        HEAD + '[users.bi]\nconnection_limit = "many"\n'
        '[[grants]]\nto = "bi"\ndatabases = []\ncreators = 3\nfuture = "no!"\n',
        [
            "replica-access.toml:5: users.bi.connection_limit: 'many' is no whole number.",
            "replica-access.toml:8: grants[1].databases: name at least one.",
            'replica-access.toml:9: grants[1].creators: write "auto" or a list of names.',
            "replica-access.toml:10: grants[1].future: 'no!' is neither true nor false.",
        ],
    ),
    "what cannot be granted": (
        HEAD + '[users.bi]\n[[grants]]\nto = "bi"\ndatabases = ["app"]\nprivileges = ["write"]\n',
        ["replica-access.toml:8: grants[1].privileges[1]: 'write' is not allowed; write 'read' or 'execute'."],
    ),
    "a password": (
        HEAD.replace("host=db1", "host=db1 password=hunter2"),
        ["a password does not belong into the spec"],
    ),
    "two primaries": (HEAD + 'instance = "prod-db"\n', ["replica-access.toml:2: primary: give either instance"]),
    "names that make no sense": (
        'version = 1\n[aws]\nregion = "Sydney"\naccount = "12"\n[primary]\ninstance = "no such"\n[users.pg_bi]\n',
        [
            "replica-access.toml:3: aws.region: 'Sydney' is no Region; write ap-southeast-2.",
            "replica-access.toml:4: aws.account: '12' is no account; write its twelve digits in quotes.",
            "replica-access.toml:6: primary.instance: 'no such' is neither an identifier of an RDS instance nor an ",
            "replica-access.toml:7: users.pg_bi: 'pg_bi': names that begin with pg_ or rds belong to PostgreSQL and ",
        ],
    ),
    "control characters": (HEAD + '[users."b\\u001b[31mi"]\nsecrt = "x"\n', ['users."b\\x1b[31mi".secrt: unknown key']),
}


@pytest.mark.parametrize("name", WRONG_SPECS)
def test_a_wrong_spec_is_named_by_line_key_and_what_is_allowed(run: Program, name: str) -> None:
    text, sentences = WRONG_SPECS[name]
    run.spec.write_text(text, encoding="utf-8")
    ran = run("plan")
    assert_refused(ran, 2, *sentences)
    assert "hunter2" not in ran.err
    assert "\x1b" not in ran.err


def test_a_missing_spec(run: Program) -> None:
    for command in ("check", "plan", "apply", "verify"):
        assert_refused(run(command), 2, "There is no spec replica-access.toml.", "`replica-access init`", "--spec FILE")


def test_a_spec_that_is_no_file(run: Program) -> None:
    assert_refused(run("plan", "--spec", "."), 2, ". is a directory.")
    run.spec.touch()
    assert_refused(run("plan", "--spec", "replica-access.toml/x"), 2, "replica-access.toml/x cannot be read")
    assert_refused(run("plan", "--spec", "/dev/zero"), 2, "/dev/zero is no file.")
    assert_refused(run("plan", "--spec", "x" * 300), 2, "cannot be read: File name too long.")


def test_a_spec_may_come_from_a_pipe(run: Program) -> None:
    os.mkfifo(run.spec)
    writer = threading.Thread(target=run.spec.write_text, args=("version = 2\n",))
    writer.start()
    assert_refused(run("plan"), 2, "version: ")
    writer.join()


def test_a_spec_in_another_encoding(run: Program) -> None:
    run.spec.write_bytes(b"# caf\xe9\n")
    assert_refused(run("plan"), 2, "replica-access.toml is not UTF-8 (byte 5).", "Save it as UTF-8")
    run.spec.write_bytes(b"\xef\xbb\xbfversion = 2\n")  # what some editors put in front is no reason to fail
    assert_refused(run("plan"), 2, "replica-access.toml:1: version:")


def test_a_traceback_is_shown_on_demand(run: Program) -> None:
    ran = run("-vv", "plan")
    assert ran.status == 2
    assert "Traceback" in ran.err
    assert "There is no spec" in ran.err


# --- the call --------------------------------------------------------------------------------------------------------

WRONG_CALLS = {
    "no primary": (["init", "--spec", "x"], ["Which primary?", "--instance for RDS, or --dsn"]),
    "two primaries": (["init", "--spec", "x", "--instance", "a", "--dsn", "host=b"], ["Which primary?"]),
    "a password for everybody to see": (
        ["init", "--spec", "x", "--dsn", "host=a password=hunter2", "--database", "a"],
        ["a password does not belong into the spec"],
    ),
    "no directory": (
        ["init", "--dsn", "host=a", "--database", "a", "--spec", "no/where"],
        ["no/where cannot be written"],
    ),
    "below a file": (["init", "--dsn", "host=a", "--database", "a", "--spec", "file/x"], ["file/x cannot be written"]),
    "a directory": (
        ["init", "--dsn", "host=a", "--database", "a", "--spec", ".", "--force"],
        [". cannot be written: ", "Name a file in a directory that you may write to."],
    ),
    "what exists": (
        ["init", "--dsn", "host=a", "--database", "a", "--spec", "file"],
        ["file exists already.", "--force"],
    ),
    "no plan": (["apply", "nowhere.json"], ["The plan nowhere.json cannot be read", "`plan --out FILE` writes one."]),
    "no format": (["plan", "--format", "xml"], ["--format is xml.", "It is table or json."]),
    "loud and quiet": (["plan", "-q", "-v"], ["-q and -v contradict each other."]),
    "no value": (["plan", "--spec"], ["--spec", "requires an argument"]),
    "no such option": (["plan", "--chek"], ["No such option: --chek", "--check"]),
    "no such command": (["paln"], ["No such command 'paln'", "plan"]),
    "no time": (["apply", "--timeout", "0"], ["--timeout"]),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_explained(run: Program, name: str) -> None:
    arguments, sentences = WRONG_CALLS[name]
    run.spec.write_text(HEAD, encoding="utf-8")
    (run.directory / "file").touch()
    ran = run(*arguments, COLUMNS="200", NO_COLOR="1")
    assert ran.status == 2, ran
    assert ran.out == ""
    assert not ran.has_traceback
    for each in sentences:
        assert each in ran.err, ran.err
    assert sorted(path.name for path in run.directory.iterdir()) == ["file", "replica-access.toml"]


def test_where_nothing_can_be_written(run: Program) -> None:
    """Not even by root: sysfs makes no files; elsewhere a directory is closed."""
    closed = Path("/sys")
    if not closed.is_dir():
        closed = run.directory / "closed"
        closed.mkdir(mode=0o500)
    ran = run("init", "--dsn", "host=a", "--database", "a", "--spec", str(closed / "spec.toml"))
    assert_refused(
        ran, 2, f"{closed}/spec.toml cannot be written: ", "Name a file in a directory that you may write to."
    )
