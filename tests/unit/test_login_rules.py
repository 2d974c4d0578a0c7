"""What the rules say of logins, by what is known of their passwords and last days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from replica_access.audit.facts import Facts
from replica_access.audit.judging import judge
from replica_access.catalog import Cluster, Role
from replica_access.findings import Finding
from replica_access.observed import Server
from replica_access.spec import parse

TODAY = date(2026, 11, 23)


def found(role: Role, said: str, *, age: int | None = None) -> dict[str, Finding]:
    """Return what is found of the login ``bi``, of which the spec says `said`; its password is `age` days old."""
    spec = parse(f"version = 1\n[primary]\ndsn = 'host=a'\n[users.'b i']\n{said}\n")
    cluster = Cluster("1", 170000, False, False, 10, {10: Role(10, "postgres", superuser=True), 20: role}, (), {})
    ages = {"b i": TODAY - timedelta(days=age)} if age is not None else {}
    facts = Facts(spec, TODAY, primary=Server("db1", cluster, {}, 10), passwords=ages)
    return {each.rule: each for each in judge(facts).findings}


def login(until: str | None = None) -> Role:
    return Role(20, "b i", login=True, connection_limit=5, valid_until=until, settings={"statement_timeout": "1s"})


@pytest.mark.parametrize(("age", "is_found"), [(None, False), (0, False), (365, False), (366, True)])
def test_a_password_may_be_a_year_old(age: int | None, is_found: bool) -> None:
    rules = found(login(), "", age=age)
    assert ("login-unrotated" in rules) is is_found
    if is_found:
        assert rules["login-unrotated"].remedy == "replica-access user rotate 'b i' --yes"


def test_the_password_of_a_login_that_is_over_need_not_be_another_one() -> None:
    assert set(found(login("2020-01-31 23:59:59+00"), "valid_until = 2020-01-31", age=999)) == {"login-expired"}


def test_no_last_day_is_asked_for_where_somebody_logs_in_by_iam() -> None:
    assert "login-no-expiry" in found(login(), "")
    assert "login-no-expiry" not in found(login(), "auth = 'iam'")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("valid_until = 2020-01-31", "replica-access user drop 'b i' --yes\n# or, where it shall go on: "),
        ("valid_until = 2026-11-23", "replica-access apply --yes"),  # its last day; somebody has ended it by hand
        ("", "replica-access apply --yes"),
    ],
)
def test_what_is_done_about_an_expired_login_depends_on_what_the_spec_says(said: str, remedy: str) -> None:
    assert found(login("2020-01-31 23:59:59+00"), said)["login-expired"].remedy.startswith(remedy)
