"""What the rules say of landscapes: of AWS as it can be, and of what could not be seen there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from replica_access.audit.facts import Facts
from replica_access.audit.judging import judge
from replica_access.aws.landscape import Landscape
from replica_access.aws.rules import Ingress, SecurityGroup
from replica_access.aws.surroundings import surroundings
from replica_access.catalog import Cluster
from replica_access.findings import Audit, Finding
from replica_access.model import Login
from replica_access.observed import Comparison, Replication, Server
from replica_access.postgres import observe
from replica_access.spec import Spec

from .aws_landscapes import COMPLETE, DENIED, EMPTY, OUR_GROUP, PRIMARY, VPC, replica, spec_of

TODAY = date(2026, 11, 23)
SPEC = spec_of()
SOUND = replica(encrypted=True, certificate_until="2027-11-23")
SOUND = replace(SOUND, primary=replace(SOUND.primary, encrypted=True))
OTHER = SecurityGroup("sg-other", "bastion", VPC, {}, (Ingress("198.51.100.0/24", "tcp", 5432, 5432, "", "sgr-9"),))


def judged(landscape: Landscape, spec: Spec = SPEC, today: date = TODAY) -> Audit:
    return judge(Facts(spec, today, surroundings=surroundings(landscape, spec, today)))


def rules(landscape: Landscape, spec: Spec = SPEC) -> dict[str, Finding]:
    return {finding.rule: finding for finding in judged(landscape, spec).findings}


def with_replica(**changes: Any) -> Landscape:
    assert SOUND.replica is not None
    return replace(SOUND, replica=replace(SOUND.replica, **changes))


def with_group(*ingress: Ingress) -> Landscape:
    return replace(SOUND, security_groups=(replace(OUR_GROUP, ingress=(*OUR_GROUP.ingress, *ingress)),))


def test_nothing_is_found_where_all_is_as_declared() -> None:
    assert judged(SOUND) == Audit()


@pytest.mark.parametrize(
    ("landscape", "found", "remedy"),
    [
        (EMPTY, {"replica-missing", "replica-unencrypted"}, "replica-access apply --yes"),
        (with_replica(certificate_until="2027-02-20"), {"network-certificate"}, "--ca-certificate-identifier"),
        (with_replica(encrypted=False), {"replica-unencrypted"}, "# only a new instance"),
        (with_replica(replication=("error",)), {"replica-not-replicating"}, "reboot-db-instance"),
        (with_replica(parameter_groups={"default.postgres17": "pending-reboot"}), {"replica-parameters"}, "reboot"),
        (with_replica(source=None), {"replica-promoted", "replica-blocked"}, "replica.instance"),
        (with_replica(tags={}), {"replica-blocked"}, "add-tags-to-resource"),
        (with_group(Ingress("::/0", "tcp", 5432, 5432, "", "sgr-3")), {"network-everybody", "network-undeclared"},
         "replica-access access deny ::/0 --yes"),
        (with_group(Ingress("10.0.0.0/8", "-1", -1, -1, "", "sgr-3")), {"network-wide", "network-undeclared"},
         "replica-access access deny 10.0.0.0/8 --yes"),
        (with_group(Ingress("10.0.0.0/16", "tcp", 5432, 5432, "", "sgr-3"),
                    Ingress("10.1.0.0/16", "tcp", 5432, 5432, "", "sgr-4")), {"network-wide", "network-undeclared"},
         "# whichever of these nobody needs:\n# replica-access access deny 10.0.0.0/16 --yes\n#"),
        (replace(with_replica(security_groups={"sg-ours": "active", "sg-other": "active"}),
                 security_groups=(OUR_GROUP, OTHER)), {"network-group", "network-beyond"}, "sg"),
        (replace(SOUND, primary=replace(SOUND.primary, security_groups={"sg-ours": "active", "sg-primary": "active"})),
         {"network-shared"}, "--vpc-security-group-ids sg-primary"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong_and_that_alone_is_found(landscape: Landscape, found: set[str], remedy: str) -> None:
    told = rules(landscape)
    assert set(told) == found
    assert any(remedy in finding.remedy for finding in told.values())
    assert all(finding.evidence and finding.server and finding.message.endswith(".") for finding in told.values())


def test_a_group_that_is_about_to_go_counts_no_more() -> None:
    going = replace(with_replica(security_groups={"sg-ours": "active", "sg-other": "removing"}),
                    security_groups=(OUR_GROUP, OTHER))  # fmt: skip
    assert not {"network-group", "network-beyond"} & set(rules(going))


def test_a_group_that_the_spec_names_is_judged_by_what_it_lets_in() -> None:
    both = replace(with_replica(security_groups={"sg-ours": "active", "sg-other": "active"}),
                   security_groups=(OUR_GROUP, OTHER))  # fmt: skip
    assert set(rules(both, spec_of(network={"security_groups": ["bastion"]}))) == {"network-beyond"}


@pytest.mark.parametrize(
    ("landscape", "what"),
    [
        (replace(SOUND, security_groups=DENIED), "security groups of the replica, and its settings against the spec"),
        (with_replica(security_groups={"sg-ours": "active", "sg-gone": "active"}), "security group sg-gone"),
        (replace(SOUND, security_groups=(replace(OUR_GROUP, unseen=DENIED),)), "rules of sg-ours one by one"),
        (replace(SOUND, prefix_lists={"pl-1": DENIED}), "prefix list pl-1"),
        (replace(SOUND, parameter_groups=DENIED), "parameters of the replica"),
    ],
)
def test_what_could_not_be_seen_is_said_with_the_reason(landscape: Landscape, what: str) -> None:
    told = judged(landscape)
    assert [unseen.what for unseen in told.not_checked] == [what]
    assert told.not_checked[0].why
    assert not {"network-missing", "replica-blocked"} & {finding.rule for finding in told.findings}


def test_parameters_that_nobody_may_see_hide_nothing_else() -> None:
    spec = spec_of(replica={"class": "db.r6g.16xlarge", "parameters": {"hot_standby_feedback": "1"}})
    told = judged(replace(SOUND, parameter_groups=DENIED), spec)
    assert [unseen.what for unseen in told.not_checked] == ["parameters of the replica"]
    assert {finding.rule for finding in told.findings} == {"replica-drift"}


def server(**replication: Any) -> Server:
    cluster = Cluster("1", 170000, True, True, 10, {}, (), {})
    stands = {"in_recovery": True, "system_identifier": "1", "lag_ms": None, "paused": False, "streaming": True}
    return Server("analytics", cluster, {}, 10, True, "", Replication(**{**stands, **replication}))


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (server(primary_system="2", caught_up=False), "replica-other-system"),
        (server(streaming=False), "replica-not-replicating"),
        (server(paused=True), "replica-not-replicating"),
        (server(primary_system="1", caught_up=False, detail="8 kB behind"), "replica-behind"),
        (server(apply_delay="1h"), "replica-behind"),
        (server(in_recovery=False), "replica-promoted"),
        (replace(server(), comparisons=(Comparison("app", False, "3 facts here, 2 there"),)), "replica-catalogs"),
    ],
)
def test_what_a_replica_says_of_itself(found: Server, rule: str) -> None:
    told = judge(Facts(SPEC, TODAY, replicas=(found,))).findings
    assert [finding.rule for finding in told] == [rule]
    assert told[0].evidence


def test_a_replica_that_is_well_has_nothing_against_it() -> None:
    well = replace(server(primary_system="1", caught_up=True), comparisons=(Comparison(None, True, "the same"),))
    assert judge(Facts(SPEC, TODAY, replicas=(well,))).findings == ()


def test_the_primary_of_the_landscape_is_private() -> None:
    public = replace(COMPLETE, primary=replace(PRIMARY, publicly_accessible=True))
    assert "--no-publicly-accessible" in rules(public)["network-primary-public"].remedy


@pytest.mark.parametrize(
    ("said", "refuses"),
    [
        ("FATAL: sorry, too many clients already", None),
        ("connection timeout expired", None),
        ('password authentication failed for user "audit"', False),
    ],
)
def test_whoever_is_let_in_by_no_way_has_not_tried_tls(
    monkeypatch: pytest.MonkeyPatch, said: str, refuses: bool | None
) -> None:
    monkeypatch.setattr(observe, "tls_required", lambda *_: (False, said))
    connection = SimpleNamespace(info=SimpleNamespace(host="db", dbname="app"))
    tried = observe._refuses_plain(connection, Login("db", {}, "app"))  # type: ignore[arg-type]
    assert tried == (refuses, said)
    seen = replace(server(), refuses_plain=tried[0], plain_detail=tried[1])
    told = judge(Facts(SPEC, TODAY, replicas=(seen,)))
    assert [each.why for each in told.not_checked] == ([said] if refuses is None else [])
    assert ("network-plain" in {each.rule for each in told.findings}) == (refuses is False)
