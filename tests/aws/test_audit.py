"""Rules of the audit about AWS that no tampering in tests/e2e comes to: each provoked, seen, and gone."""

from __future__ import annotations

from datetime import UTC, datetime

from replica_access.audit.facts import Facts
from replica_access.audit.judging import judge
from replica_access.aws import survey
from replica_access.aws.surroundings import surroundings
from replica_access.findings import Finding
from replica_access.spec import Spec
from tests import aws_cli
from tests.provocations import proves, saw
from tests.sandbox_fixtures import Sandbox

from .stage import opened, spec_of


def audit(sandbox: Sandbox, spec: Spec) -> list[Finding]:
    """What the audit finds around the servers; they themselves are not asked."""
    today = datetime.now(UTC).date()
    with opened(sandbox) as aws:
        found = judge(Facts(spec, today, surroundings=surroundings(survey.read(aws, spec), spec, today))).findings
    saw((each.rule, each.subject, each.object) for each in found)
    return list(found)


def of_rule(rule: str, found: list[Finding]) -> Finding:
    (only,) = [each for each in found if each.rule == rule]
    return only


def run(sandbox: Sandbox, remedy: str) -> None:
    for line in remedy.splitlines():
        if not line.startswith("#"):
            aws_cli.run(sandbox, line)


@proves("network-certificate", "replica-blocked")
def test_a_replica_of_somebody_else_whose_certificate_ends(sandbox: Sandbox, replica: str) -> None:
    arn = sandbox.instance(replica)["DBInstanceArn"]
    ours = spec_of(replica)
    audit(sandbox, spec_of(sandbox.name("none")))
    with sandbox.faults(certificates={replica: 20}):
        found = audit(sandbox, ours)
        try:
            for rule in ("network-certificate", "replica-blocked"):
                run(sandbox, of_rule(rule, found).remedy)
            sandbox.settle(replica)
            left = audit(sandbox, ours)
        finally:
            sandbox.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["replica-access"])
    assert not {"network-certificate", "replica-blocked"} & {each.rule for each in left}


@proves("replica-unencrypted")
def test_a_primary_whose_disk_is_not_encrypted(sandbox: Sandbox, private: str) -> None:
    encrypted = spec_of(sandbox.name("none"))
    assert "replica-unencrypted" not in {each.rule for each in audit(sandbox, encrypted)}
    plain = spec_of(sandbox.name("none"), primary={"instance": private})
    assert of_rule("replica-unencrypted", audit(sandbox, plain)).subject == private
    audit(sandbox, encrypted)  # nothing but another instance helps, as the remedy says
