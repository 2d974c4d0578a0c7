"""Who may reach the replica, over the wire: drift by hand in each way, lists and groups as sources, and the quota."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from replica_access.aws import survey
from replica_access.aws.landscape import NotChecked
from replica_access.aws.trial import try_calls
from replica_access.model import Change, Plan, Request
from replica_access.spec import Spec
from tests.sandbox_fixtures import Sandbox, tcp

from .stage import Stop, StoppableAws, Stopped, carry_out, deny, look, opened, remove, spec_of

REVOKE = Request(allow_revoke=True)

Sabotage = Callable[["Rules"], object]


@pytest.fixture(scope="module")
def aws(sandbox: Sandbox) -> Iterator[StoppableAws]:
    with opened(sandbox) as aws:
        yield aws


@pytest.fixture(scope="module")
def name(sandbox: Sandbox) -> str:
    return sandbox.name("access")


class Rules:
    """The group of a replica that does not have to be there, as a person with the AWS CLI handles it."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self.ec2 = sandbox.ec2
        self.port = int(sandbox.instance()["Endpoint"]["Port"])
        filters = [{"Name": "group-name", "Values": [f"replica-access-{name}"]}]
        (group,) = self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        self.group = str(group["GroupId"])

    def all(self) -> list[dict[str, Any]]:
        filters = [{"Name": "group-id", "Values": [self.group]}]
        found = self.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [rule for rule in found if not rule["IsEgress"]]

    def one(self, cidr: str) -> dict[str, Any]:
        rules = [rule for rule in self.all() if rule.get("CidrIpv4") == cidr]
        return next(rule for rule in rules if rule["FromPort"] == self.port or len(rules) == 1)

    def add(self, *cidrs: str, **changes: Any) -> None:
        permission = {**tcp(self.port, *cidrs), **changes}
        self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[permission])

    def modify(self, cidr: str, **changes: Any) -> None:
        rule = self.one(cidr)
        wanted = {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort", "CidrIpv4")} | changes
        rules = [{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": wanted}]
        self.ec2.modify_security_group_rules(GroupId=self.group, SecurityGroupRules=rules)

    def revoke(self, cidr: str) -> None:
        rule = self.one(cidr)["SecurityGroupRuleId"]
        self.ec2.revoke_security_group_ingress(GroupId=self.group, SecurityGroupRuleIds=[rule])

    def tag(self, cidr: str, **tags: str) -> None:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.ec2.create_tags(Resources=[self.one(cidr)["SecurityGroupRuleId"]], Tags=listed)


@pytest.fixture(scope="module")
def group_only(aws: StoppableAws, sandbox: Sandbox, name: str) -> Iterator[Rules]:
    """The group and its rules as a run that was stopped before the replica leaves them."""
    _, planned = look(aws, spec_of(name))
    carry_out(aws, Plan(tuple(change for change in planned.changes if change.action != "create replica")))
    yield Rules(sandbox, name)
    remove(sandbox, name)


def of_the_group(planned: Plan) -> list[Change]:
    return [change for change in planned.changes if change.action != "create replica"]


def told(planned: Plan) -> list[tuple[str, str, str]]:
    return [(change.action, change.object, change.takes) for change in of_the_group(planned)]


LAPTOP, VPN = "127.0.0.1/32", "2001:db8::/48"


@pytest.mark.parametrize(
    ("sabotage", "changes", "words"),
    [
        (
            lambda rules: rules.add("198.51.100.7/32"),
            [("revoke address", "198.51.100.7/32", "revoke")],
            "added it by hand",
        ),
        (lambda rules: rules.revoke(LAPTOP), [("allow address", LAPTOP, "")], "let 127.0.0.1/32"),
        (lambda rules: rules.add("127.0.0.0/8"), [("revoke address", "127.0.0.0/8", "revoke")], "wider than the spec"),
        (
            lambda rules: rules.modify(LAPTOP, CidrIpv4="127.0.0.0/24"),
            [("allow address", LAPTOP, ""), ("revoke address", "127.0.0.0/24", "revoke")],
            "wider than the spec, which has 127.0.0.1/32",
        ),
        (
            lambda rules: rules.modify(LAPTOP, FromPort=1, ToPort=65535),
            [("allow address", LAPTOP, ""), ("revoke address", LAPTOP, "revoke")],
            "ports 1 to 65535: the spec lets it in to port",
        ),
        (
            lambda rules: rules.add(LAPTOP, FromPort=22, ToPort=22),
            [("revoke address", LAPTOP, "revoke")],
            "no more to port 22",
        ),
        (
            lambda rules: rules.ec2.authorize_security_group_ingress(
                GroupId=rules.group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": LAPTOP}]}]
            ),
            [("revoke address", LAPTOP, "revoke")],
            "no more to every port",
        ),
        (
            lambda rules: rules.modify(LAPTOP, Description="mine now"),
            [("describe address", LAPTOP, "")],
            "Zoe-s laptop, until 2099-12-31",
        ),
        (lambda rules: rules.tag(LAPTOP, expires="2100-01-01"), [("tag address", LAPTOP, "")], "expires: 2099-12-31"),
    ],
    ids=["added", "gone", "wider beside", "widened", "other ports", "other port", "everything", "described", "tagged"],
)
def test_drift_by_hand_is_planned_as_just_that_and_mended(
    aws: StoppableAws,
    group_only: Rules,
    name: str,
    sabotage: Sabotage,
    changes: list[tuple[str, str, str]],
    words: str,
) -> None:
    spec = spec_of(name)
    before = described(group_only.all())
    assert told(look(aws, spec)[1]) == []
    sabotage(group_only)
    planned = look(aws, spec)[1]
    assert told(planned) == changes
    assert words in " ".join(change.summary for change in of_the_group(planned))
    carry_out(aws, Plan(tuple(of_the_group(planned))))
    assert described(group_only.all()) == before
    assert told(look(aws, spec)[1]) == []


def described(rules: list[dict[str, Any]]) -> list[str]:
    """Return everything that rules say, but their ids."""
    ids = ("SecurityGroupRuleId", "SecurityGroupRuleArn")
    told = [{key: value for key, value in rule.items() if key not in ids} for rule in rules]
    for rule in told:
        rule["Tags"] = sorted(rule["Tags"], key=lambda tag: str(tag["Key"]))
    return sorted(repr(sorted(rule.items())) for rule in told)


def test_stopped_before_and_after_every_call_that_mends_it_ends_the_same(
    aws: StoppableAws, group_only: Rules, name: str
) -> None:
    before = described(group_only.all())
    group_only.add("198.51.100.7/32")
    group_only.modify(LAPTOP, Description="mine now")
    group_only.tag(LAPTOP, expires="2100-01-01")
    group_only.add("127.0.0.1/32", FromPort=22, ToPort=22)
    stopped_at = []
    try:
        while changes := of_the_group(look(aws, spec_of(name))[1]):
            for after in (False, True):
                aws.stop = Stop(after)
                with pytest.raises(Stopped):
                    carry_out(aws, Plan(tuple(changes)))
                stopped_at.append(aws.stop.calls[-1])
            aws.stop = None
            carry_out(aws, Plan(tuple(changes[:1])))  # the answer was lost, and the call is repeated
            assert len(stopped_at) < 20
    finally:
        aws.stop = None
    assert stopped_at[::2] == stopped_at[1::2] == [
        "UpdateSecurityGroupRuleDescriptionsIngress", "CreateTags",
        "RevokeSecurityGroupIngress", "RevokeSecurityGroupIngress",
    ]  # fmt: skip
    assert described(group_only.all()) == before


def allowing(name: str, *entries: dict[str, Any]) -> Spec:
    laptop = {"cidr": LAPTOP, "note": "Zoë's laptop", "expires": "2099-12-31"}
    return spec_of(name, network={"allow": [laptop, {"cidr": VPN, "note": "VPN"}, *entries]})


def test_an_address_that_expires_goes_and_a_note_that_changes_is_changed(
    aws: StoppableAws, group_only: Rules, name: str
) -> None:
    guest = {"cidr": "198.51.100.9/32", "note": "a guest", "expires": "2026-11-23"}
    carry_out(aws, Plan(tuple(of_the_group(look(aws, allowing(name, guest))[1]))))
    assert told(look(aws, allowing(name, guest))[1]) == []
    renamed = {"cidr": "198.51.100.9/32"}
    planned = look(aws, allowing(name, renamed))[1]
    assert {change.action for change in of_the_group(planned)} == {"describe address", "tag address"}
    carry_out(aws, Plan(tuple(of_the_group(planned))))
    rule = group_only.one("198.51.100.9/32")
    assert {tag["Key"] for tag in rule["Tags"]} == {"replica-access", "managed-by"}
    assert told(look(aws, allowing(name, renamed))[1]) == []
    over = {**guest, "expires": "2026-11-22"}
    planned = look(aws, allowing(name, over))[1]
    assert told(planned) == [("revoke address", "198.51.100.9/32", "revoke")]
    carry_out(aws, Plan(tuple(of_the_group(planned))))
    carry_out(aws, Plan(tuple(of_the_group(planned))))  # twice is as good as once
    assert told(look(aws, allowing(name, over))[1]) == []
    assert [pending.reason for pending in look(aws, allowing(name, over))[1].pending] == [
        "expired on 2026-11-22 and is not allowed any more"
    ]


def test_every_call_can_be_tried_before_it_is_made(aws: StoppableAws, group_only: Rules, name: str) -> None:
    before = described(group_only.all())
    laptop = {"cidr": LAPTOP, "note": "somebody else"}
    planned = look(aws, spec_of(name, network={"allow": [laptop]}))[1]
    calls = [change.call for change in of_the_group(planned) if change.call is not None]
    assert {call.operation for call in calls} == {
        "UpdateSecurityGroupRuleDescriptionsIngress", "CreateTags", "DeleteTags", "RevokeSecurityGroupIngress",
    }  # fmt: skip
    assert set(try_calls(aws, calls).values()) == {None}
    assert described(group_only.all()) == before


def test_prefix_lists_and_groups_are_let_in_and_taken_out_again(
    sandbox: Sandbox, aws: StoppableAws, group_only: Rules, name: str
) -> None:
    made = sandbox.ec2.create_managed_prefix_list(
        PrefixListName="office", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "203.0.113.0/24"}]
    )
    office = made["PrefixList"]["PrefixListId"]
    with sandbox.group() as apps:
        spec = allowing(name, {"prefix_list": office, "note": "office"}, {"security_group": apps, "note": "apps"})
        checks, planned = look(aws, spec)
        assert told(planned) == [("allow address", office, ""), ("allow address", apps, "")]
        assert [check.detail for check in checks if check.name == "prefix list"] == [
            f"{office} is office, version 1: 203.0.113.0/24"
        ]
        carry_out(aws, Plan(tuple(of_the_group(planned))))
        assert told(look(aws, spec)[1]) == []
        renamed = allowing(name, {"prefix_list": office, "note": "x"}, {"security_group": apps, "note": "y"})
        carry_out(aws, Plan(tuple(of_the_group(look(aws, renamed)[1]))))
        assert told(look(aws, renamed)[1]) == []
        sandbox.ec2.modify_managed_prefix_list(
            PrefixListId=office, CurrentVersion=1, PrefixListName="office", AddEntries=[{"Cidr": "0.0.0.0/0"}]
        )
        assert f"0.0.0.0/0 of {office} is too wide" in look(aws, spec)[1].blocked[0].reason
        planned = look(aws, spec_of(name))[1]
        assert {change.takes for change in of_the_group(planned)} == {"revoke"}
        carry_out(aws, Plan(tuple(of_the_group(planned))))
        assert told(look(aws, spec_of(name))[1]) == []
    sandbox.ec2.delete_managed_prefix_list(PrefixListId=office)


def test_more_rules_than_the_quota_are_refused_before_the_call(
    sandbox: Sandbox, aws: StoppableAws, group_only: Rules, name: str
) -> None:
    spec = allowing(name, *({"cidr": f"198.51.100.{host}/32"} for host in range(60)))
    checks, _ = look(aws, spec)
    (quota,) = [check for check in checks if check.name == "quota of rules"]
    assert (quota.outcome, quota.detail) == ("problem", "inbound rules: 61, of at most 60")
    assert len(group_only.all()) == 2
    fits = allowing(name, *({"cidr": f"198.51.100.{host}/32"} for host in range(59)))
    planned = look(aws, fits)[1]
    carry_out(aws, Plan(tuple(of_the_group(planned))))
    assert len(group_only.all()) == 61  # IPv6 counts for itself
    carry_out(aws, Plan(tuple(of_the_group(look(aws, spec_of(name))[1]))))
    assert len(group_only.all()) == 2


def test_what_another_group_opens_to_the_world_is_refused(sandbox: Sandbox, aws: StoppableAws) -> None:
    with sandbox.group("0.0.0.0/0") as open_one, sandbox.group("198.51.100.0/24") as narrow:
        spec = spec_of(sandbox.name("fresh"), network={"security_groups": [open_one, narrow]})
        found = [check for check in look(aws, spec)[0] if check.name == "other groups"]
        assert [check.outcome for check in found] == ["problem", "ok"]
        assert f"--group-id {open_one} --security-group-rule-ids sgr-" in found[0].fix
        assert "198.51.100.0/24" in found[1].detail


def test_rules_that_may_not_be_seen_are_not_checked_and_the_rest_goes_on(
    sandbox: Sandbox, group_only: Rules, name: str
) -> None:
    group_only.add("198.51.100.7/32")
    group_only.revoke(LAPTOP)
    with opened(sandbox) as limited:
        deny(limited, "ec2", "DescribeSecurityGroupRules")
        checks, planned = look(limited, spec_of(name))
        assert [check.name for check in checks if check.outcome == "not checked"] == ["rules"]
        assert told(planned) == [("allow address", LAPTOP, "")]
        assert "nothing is taken away" in planned.pending[0].reason
    with opened(sandbox) as aws:
        carry_out(aws, Plan(tuple(of_the_group(look(aws, spec_of(name))[1]))))
        assert told(look(aws, spec_of(name))[1]) == []


def test_a_quota_that_may_not_be_read_is_not_checked(sandbox: Sandbox, name: str) -> None:
    spec = allowing(name, *({"cidr": f"198.51.100.{host}/32"} for host in range(60)))
    with opened(sandbox) as limited:
        deny(limited, "service-quotas", "GetServiceQuota")
        found = survey.read(limited, spec)
        assert isinstance(found.rule_quota, NotChecked)
        assert "servicequotas:GetServiceQuota" in found.rule_quota.fix
        assert found.group_quota == 5


def test_a_whole_run_takes_away_only_when_asked(sandbox: Sandbox, aws: StoppableAws, group_only: Rules) -> None:
    group_only.add("198.51.100.7/32")
    try:
        replica = next(tag["Value"] for tag in group_only.one(LAPTOP)["Tags"] if tag["Key"] == "replica-access")
        kept = look(aws, spec_of(replica))[1].allowed(Request())
        assert told(kept) == []
        taken = look(aws, spec_of(replica))[1].allowed(REVOKE)
        assert told(taken) == [("revoke address", "198.51.100.7/32", "revoke")]
    finally:
        group_only.revoke("198.51.100.7/32")
