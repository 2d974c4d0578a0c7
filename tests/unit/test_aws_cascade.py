"""A replica of a replica: the rules of RDS for it, and the plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws.landscape import Instance, Landscape
from replica_access.aws.plan import plan
from replica_access.aws.preflight import checks

from .aws_landscapes import COMPLETE, EMPTY, PRIMARY, REPLICA, problems, spec_of

SPEC = spec_of(replica={"source": "first"})
FIRST = replace(
    PRIMARY,
    identifier="first",
    arn="arn:aws:rds:ap-southeast-2:123456789012:db:first",
    source="prod",
    instance_class="db.r6g.xlarge",
    backup_days=1,
)
CASCADE = replace(
    EMPTY,
    upstreams=(FIRST,),
    offers=(replace(EMPTY.offers[0], instance_class="db.r6g.xlarge"),),  # type: ignore[index]
)


def below(*others: Instance, **first: Any) -> Landscape:
    return replace(CASCADE, upstreams=(replace(FIRST, **first), *others))


def test_a_replica_is_planned_from_the_replica_that_the_spec_names() -> None:
    assert not problems(CASCADE, SPEC)
    (creation,) = [each for each in plan(CASCADE, SPEC, date(2026, 1, 1)).changes if each.action == "create replica"]
    assert creation.call is not None
    assert creation.call.parameters["SourceDBInstanceIdentifier"] == "first"
    assert creation.call.parameters["DBInstanceClass"] == "db.r6g.xlarge"
    assert "a read replica of first" in creation.summary


@pytest.mark.parametrize(
    ("landscape", "name", "words"),
    [
        (below(backup_days=0), "backups", "first has no automated backups"),
        (below(version="14.0"), "source version", "from 14.1 on"),
        (below(version="13.22"), "source version", "first is PostgreSQL 13.22"),
        (below(replicas=tuple("abcde")), "replica count", "first has 5 replicas, which is the limit"),
        (below(source="another"), "replica source", "first is a replica of another, not one of prod"),
        (below(source=None), "replica source", "first is no replica, not one of prod"),
        (below(status="stopped"), "source status", "first is stopped"),
        (
            below(replace(FIRST, identifier="b", source="a"), replace(FIRST, identifier="a"), source="b"),
            "replica source",
            "first is 3 levels below the primary",
        ),
    ],
)
def test_what_rds_refuses_of_a_cascade(landscape: Landscape, name: str, words: str) -> None:
    found = problems(landscape, SPEC)
    assert set(found) == {name}
    assert words in found[name].detail


def test_the_third_level_is_the_last() -> None:
    second = replace(FIRST, identifier="second", source="a")
    assert not problems(replace(CASCADE, upstreams=(second, replace(FIRST, identifier="a"))), SPEC)


def test_backups_are_wanted_of_the_source_and_not_of_the_primary() -> None:
    landscape = replace(CASCADE, primary=replace(PRIMARY, backup_days=0, replicas=tuple(f"r{n}" for n in range(15))))
    assert not problems(landscape, SPEC)


def test_a_cascading_replica_that_is_ours_is_gone_on_with() -> None:
    ours = replace(COMPLETE, upstreams=(FIRST,), replica=replace(REPLICA, source="first"))
    assert not problems(ours, SPEC)
    assert not plan(ours, SPEC, date(2026, 1, 1)).changes
    direct = replace(COMPLETE, upstreams=(FIRST,))
    assert "a replica of prod, not one of first" in problems(direct, SPEC)["replica name"].detail
    assert plan(direct, SPEC, date(2026, 1, 1)).blocked


def test_the_level_is_said() -> None:
    (check,) = [check for check in checks(CASCADE, SPEC) if check.name == "replica source"]
    assert check.detail == "first, level 1 below prod"
