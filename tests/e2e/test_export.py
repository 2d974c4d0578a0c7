"""The same set-up by other means: the linter reads the template, psql runs the script, and `plan` agrees with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from replica_access.aws.ownership import as_list, tags
from tests.e2e.conftest import PROVISION, REPLICA, SECRET, Account

pytestmark = pytest.mark.slow

PASSWORD = "a password that somebody has chosen"


@pytest.fixture(scope="module")
def declared(account: Account) -> Account:
    """A spec, and nothing of it anywhere."""
    ran = account.run("init", *PROVISION[1:])
    assert ran.status == 0, ran
    return account


def keep(account: Account, password: str) -> None:
    """Put the password of ``bi`` where the spec says, in RDS's form, as the README asks for."""
    value = json.dumps({"engine": "postgres", "username": "bi", "password": password})
    account.sandbox.client("secretsmanager").create_secret(Name=SECRET, SecretString=value, Tags=as_list(tags(REPLICA)))


def test_the_template_is_alone_on_standard_output_and_clean(declared: Account) -> None:
    ran = declared.run("export", "cloudformation")
    assert (ran.status, ran.err) == (0, "")
    found = lint(ran.out, config=ManualArgs(regions=[declared.sandbox.status.region]))
    assert [str(match) for match in found] == []
    assert yaml.safe_load(ran.out)["Resources"]["Replica"]["Properties"]["DBInstanceIdentifier"] == REPLICA


def test_it_is_the_same_in_json_and_in_a_file(declared: Account, tmp_path: Path) -> None:
    document = declared.run("export", "cloudformation", "--format", "json").document
    assert yaml.safe_load(declared.run("export", "cloudformation").out) == document
    ran = declared.run("export", "cloudformation", "--out", str(path := tmp_path / "replica.yaml"))
    assert (ran.status, ran.out, ran.err) == (0, "", f"Wrote {path}.\n")
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == document


def test_nothing_is_changed_by_writing_it_down(declared: Account) -> None:
    declared.wire.calls.clear()
    for what in (["cloudformation"], ["sql"], ["iam-policy", "--for", "provision"], ["iam-policy", "--for", "audit"]):
        assert declared.run("export", *what).status == 0
    assert declared.wire.calls
    assert declared.wire.writes == []


def test_a_policy_for_nobody_in_particular_is_wrong_usage(declared: Account) -> None:
    for what in (["audit", "bi"], ["connect"]):
        ran = declared.run("export", "iam-policy", "--for", *what)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("Error: --for connect takes the user who connects, and nothing else does.\n")
    assert declared.run("export", "iam-policy", "--for", "everything").status == 2
    assert declared.run("export", "iam-policy").status == 2


def test_whoever_logs_in_with_a_password_needs_no_policy(declared: Account) -> None:
    ran = declared.run("export", "iam-policy", "--for", "connect", "bi")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "Error: bi logs in with a password, which no policy is asked about.\n"
        f'Write auth = "iam" in users.bi; or hand out {SECRET}, where the password is.\n'
    )


def test_what_the_script_makes_is_what_the_spec_wants(declared: Account, tmp_path: Path) -> None:
    script = tmp_path / "readers.sql"
    assert declared.run("export", "sql", "--out", str(script)).status == 0
    assert '\\password "bi"' in declared.psql("-f", str(script))
    declared.psql("-c", '\\password "bi"', given=f"{PASSWORD}\n{PASSWORD}\n")
    keep(declared, PASSWORD)
    assert scopes(declared.run("--format", "json", "plan").document) <= {"aws"}
    ran = declared.run("apply", "--yes")
    assert ran.status == 0, ran
    assert "create role" not in ran.out
    assert declared.run("plan", "--check").status == 0
    with declared.as_reader("app") as reader:
        reader.execute("SELECT count(*) FROM leasing.units")


def scopes(plan: dict[str, Any]) -> set[str]:
    return {change["scope"] for change in plan["changes"]}
