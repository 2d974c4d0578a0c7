"""Whom the replica lets in: drift in both directions, width, prefix lists, other groups, and the quotas."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from replica_access.aws import addresses
from replica_access.aws.landscape import Landscape, NotChecked
from replica_access.aws.plan import plan
from replica_access.aws.preflight import checks
from replica_access.aws.rules import Ingress, PrefixList, SecurityGroup
from replica_access.model import UNASKED, Change, Check, Plan, Request
from replica_access.spec import Spec

from .aws_landscapes import COMPLETE, DENIED, EMPTY, OUR_GROUP, OUR_TAGS, REPLICA, VPC, problems, spec_of

TODAY = date(2027, 1, 31)
OFFICE = PrefixList("pl-1", "office", 3, 20, ("198.51.100.0/24", "198.51.101.0/24"))
WEB = SecurityGroup("sg-web", "web", VPC, {}, ())


def planned(landscape: Landscape, spec: Spec | None = None, *, allow_wide: bool = False) -> Plan:
    return plan(landscape, spec or spec_of(), TODAY, Request(allow_wide=allow_wide))


def parameters(change: Change) -> Any:
    assert change.call is not None
    return change.call.parameters


def with_rules(*rules: Ingress, **changes: Any) -> Landscape:
    """Return the complete landscape with these rules beside those of the spec."""
    group = replace(OUR_GROUP, ingress=(*OUR_GROUP.ingress, *rules))
    return replace(COMPLETE, security_groups=(group,), **changes)


def only(*rules: Ingress) -> Landscape:
    return replace(COMPLETE, security_groups=(replace(OUR_GROUP, ingress=rules),))


def by_hand(source: str, first: int = 5432, last: int = 5432, protocol: str = "tcp") -> Ingress:
    return Ingress(source, protocol, first, last, id="sgr-9")


def check(landscape: Landscape, spec: Spec, name: str, *, allow_wide: bool = False) -> Check:
    (found,) = [c for c in checks(landscape, spec, TODAY, Request(allow_wide=allow_wide)) if c.name == name]
    return found


# --- beyond the spec -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (by_hand("198.51.100.7/32"), "let 198.51.100.7/32 in no more to port 5432: it is not in the spec"),
        (by_hand("203.0.113.0/24"), "it is wider than the spec, which has 203.0.113.7/32"),
        (by_hand("0.0.0.0/0"), "it is wider than the spec, which has 203.0.113.7/32"),
        (by_hand("2001:db8::1/128"), "the spec has it only as a part of 2001:db8::/48"),
        (
            by_hand("203.0.113.7/32", 5000, 6000),
            "no more to ports 5000 to 6000: the spec lets it in to port 5432 alone",
        ),
        (by_hand("203.0.113.7/32", 22, 22), "no more to port 22: the spec lets it in to port 5432 alone"),
        (by_hand("203.0.113.7/32", -1, -1, "-1"), "no more to every port: the spec lets it in"),
        (by_hand("203.0.113.7/32", 5432, 5432, "udp"), "no more to udp port 5432"),
        (by_hand("pl-1"), "let pl-1 in no more to port 5432: it is not in the spec"),
        (by_hand("sg-web"), "let sg-web in no more to port 5432: it is not in the spec"),
    ],
)
def test_a_rule_beyond_the_spec_is_revoked_by_its_id_alone(rule: Ingress, words: str) -> None:
    (change,) = planned(with_rules(rule)).changes
    assert words in change.summary
    assert change.summary.endswith("; somebody added it by hand to sg-ours, which is ours")
    assert (change.action, change.takes) == ("revoke address", "revoke")
    assert change.call is not None
    assert change.call.operation == "RevokeSecurityGroupIngress"
    assert change.call.parameters == {"GroupId": "sg-ours", "SecurityGroupRuleIds": ["sgr-9"]}


def test_a_rule_of_ours_that_left_the_spec_was_not_added_by_hand() -> None:
    (change,) = planned(with_rules(replace(by_hand("198.51.100.7/32"), tags=OUR_TAGS))).changes
    assert change.summary.endswith("it is not in the spec")


def test_what_is_needed_is_let_in_before_what_is_wider_goes() -> None:
    wide = by_hand("203.0.113.7/32", 5000, 6000)
    changes = planned(only(wide, OUR_GROUP.ingress[1])).changes
    assert [(change.action, change.object, change.takes) for change in changes] == [
        ("allow address", "203.0.113.7/32", ""),
        ("revoke address", "203.0.113.7/32", "revoke"),
    ]


def test_a_replica_is_made_behind_a_group_that_is_as_it_should_be() -> None:
    actions = [change.action for change in planned(with_rules(by_hand("0.0.0.0/0"), replica=None)).changes]
    assert actions.index("revoke address") < actions.index("create replica")


def test_without_being_asked_nothing_is_taken_away() -> None:
    found = planned(with_rules(by_hand("198.51.100.7/32")))
    assert found.changes
    assert not found.allowed(Request()).changes


def test_an_expired_address_is_revoked_and_one_that_is_gone_is_pending() -> None:
    spec = spec_of(
        network={
            "allow": [
                {"cidr": "203.0.113.7/32", "expires": "2027-01-30"},
                {"cidr": "198.51.100.7/32", "expires": "2027-01-30"},
                {"cidr": "2001:db8::/48", "note": "VPN"},
            ]
        }
    )
    found = planned(COMPLETE, spec)
    (change,) = found.changes
    assert parameters(change)["SecurityGroupRuleIds"] == ["sgr-1"]
    assert "it expired on 2027-01-30" in change.summary
    assert [pending.name for pending in found.pending] == ["198.51.100.7/32"]


def test_an_address_that_expired_in_one_entry_and_not_in_another_stays() -> None:
    cidr = {"cidr": "203.0.113.7/32", "note": "Brisbane office"}
    vpn = {"cidr": "2001:db8::/48", "note": "VPN"}
    spec = spec_of(network={"allow": [{**cidr, "expires": "2020-01-01"}, cidr, vpn]})
    assert planned(COMPLETE, spec) == Plan()


def test_an_entry_that_expired_is_not_said_to_be_shut_out_where_another_lets_it_in() -> None:
    entries = [{"cidr": "203.0.113.7/32", "expires": "2020-01-01"}, {"cidr": "203.0.113.7/32"}]
    spec = spec_of(network={"allow": [*entries, {"cidr": "198.51.100.1/32", "expires": "2020-01-01"}]})
    told = [(each.state, each.detail) for each in addresses.compare(COMPLETE, spec, OUR_GROUP, TODAY)]
    assert ("expired", "another entry of the spec lets it in") in told
    assert ("expired", "is not let in any more") in told


def test_what_somebody_opened_to_the_world_stops_the_run_unless_it_is_taken_away() -> None:
    def found(source: str, request: Request = UNASKED) -> list[str]:
        landscape = with_rules(by_hand(source))
        return [check.detail for check in checks(landscape, spec_of(), TODAY, request) if check.outcome == "problem"]

    assert found("0.0.0.0/0") == [
        "sg-ours (replica-access-analytics) lets in, beyond the spec: 0.0.0.0/0; that is too wide"
    ]
    assert found("198.51.100.0/24") == []
    for request in (Request(allow_revoke=True), Request(allow_wide=True)):
        assert found("0.0.0.0/0", request) == []
    other_port = with_rules(by_hand("0.0.0.0/0", 22, 22))
    assert not problems(other_port)


def test_our_group_on_the_primary_is_a_problem() -> None:
    groups = {"sg-primary": "active", OUR_GROUP.id: "active"}
    shared = replace(COMPLETE, primary=replace(COMPLETE.primary, security_groups=groups))
    problem = problems(shared)["security group"]
    assert problem.detail == (
        "sg-ours (replica-access-analytics) is attached to prod, too, and lets the same addresses in there"
    )
    assert problem.fix == (
        "Detach it: aws rds modify-db-instance --db-instance-identifier prod "
        "--vpc-security-group-ids sg-primary --apply-immediately --region ap-southeast-2"
    )
    leaving = replace(COMPLETE.primary, security_groups={**groups, OUR_GROUP.id: "removing"})
    assert not problems(replace(COMPLETE, primary=leaving))


def test_rules_that_cannot_be_seen_one_by_one_are_not_taken_away_and_that_is_said() -> None:
    bare = tuple(replace(rule, id="", tags={}) for rule in (*OUR_GROUP.ingress, by_hand("198.51.100.7/32")))
    landscape = replace(COMPLETE, security_groups=(replace(OUR_GROUP, ingress=bare, unseen=DENIED),))
    found = planned(landscape)
    assert not found.changes
    assert [(pending.kind, pending.name) for pending in found.pending] == [("security group", "sg-ours")]
    assert DENIED.why in found.pending[0].reason
    assert check(landscape, spec_of(), "rules") == Check("rules", "not checked", DENIED.why, DENIED.fix)
    expired = spec_of(network={"allow": [{"cidr": "198.51.100.7/32", "expires": "2020-01-01"}]})
    assert "is still let in" in planned(landscape, expired).pending[0].reason


def test_groups_that_somebody_attached_are_detached_and_what_they_let_in_is_said() -> None:
    theirs = SecurityGroup("sg-theirs", "lab", VPC, {}, (by_hand("198.51.100.0/24"), by_hand("10.0.0.0/8", 22, 22)))
    replica = replace(REPLICA, security_groups={"sg-ours": "active", "sg-theirs": "active"})
    landscape = replace(COMPLETE, replica=replica, security_groups=(OUR_GROUP, theirs))
    (change,) = planned(landscape).changes
    assert (change.action, change.takes) == ("detach security group", "revoke")
    assert "sg-theirs (lab; lets in 198.51.100.0/24)" in change.summary
    assert parameters(change)["VpcSecurityGroupIds"] == ["sg-ours"]
    assert planned(landscape, spec_of(network={"security_groups": ["lab"]})) == Plan()


# --- what rules say --------------------------------------------------------------------------------------------------


def test_note_and_expiry_are_kept_as_the_spec_has_them() -> None:
    spec = spec_of(
        network={
            "allow": [
                {"cidr": "203.0.113.7/32", "note": "Zoë", "expires": "2027-02-01"},
                {"cidr": "2001:db8::/48"},
            ]
        }
    )
    found = planned(COMPLETE, spec).changes
    assert not any(change.takes for change in found)
    assert [(change.call.operation, parameters(change)) for change in found if change.call] == [
        (
            "UpdateSecurityGroupRuleDescriptionsIngress",
            {
                "GroupId": "sg-ours",
                "SecurityGroupRuleDescriptions": [
                    {"SecurityGroupRuleId": "sgr-1", "Description": "Zoe, until 2027-02-01"}
                ],
            },
        ),
        (
            "CreateTags",
            {
                "Resources": ["sgr-1"],
                "Tags": [{"Key": "note", "Value": "Zoë"}, {"Key": "expires", "Value": "2027-02-01"}],
            },
        ),
        (
            "UpdateSecurityGroupRuleDescriptionsIngress",
            {
                "GroupId": "sg-ours",
                "SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": "sgr-2", "Description": "replica-access"}],
            },
        ),
        ("DeleteTags", {"Resources": ["sgr-2"], "Tags": [{"Key": "note"}]}),
    ]


def test_a_rule_made_by_hand_that_the_spec_has_is_tagged() -> None:
    first = replace(OUR_GROUP.ingress[0], tags={"mine": "x"})
    (change,) = planned(only(first, OUR_GROUP.ingress[1])).changes
    assert change.action == "tag address"
    assert {tag["Key"] for tag in parameters(change)["Tags"]} == {"note", "replica-access", "managed-by"}


# --- other sources than networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "place", "words"),
    [
        (
            {"prefix_list": "pl-1"},
            {"PrefixListIds": [{"PrefixListId": "pl-1", "Description": "replica-access"}]},
            "let the 2 networks of the prefix list pl-1 (office) connect to port 5432",
        ),
        (
            {"security_group": "web", "note": "apps"},
            {"UserIdGroupPairs": [{"GroupId": "sg-web", "Description": "apps"}]},
            "let members of sg-web, web, (apps) connect",
        ),
        (
            {"security_group": "sg-web"},
            {"UserIdGroupPairs": [{"GroupId": "sg-web", "Description": "replica-access"}]},
            "let members of sg-web connect",
        ),
    ],
)
def test_prefix_lists_and_groups_go_where_ec2_wants_them(
    entry: dict[str, str], place: dict[str, Any], words: str
) -> None:
    landscape = replace(EMPTY, security_groups=(WEB,), prefix_lists={"pl-1": OFFICE})
    spec = spec_of(network={"allow": [entry]})
    change = planned(landscape, spec).changes[1]
    assert parameters(change)["IpPermissions"] == [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, **place}]
    assert words in change.summary
    assert not problems(landscape, spec)


@pytest.mark.parametrize("entry", [{"prefix_list": "pl-0"}, {"security_group": "nowhere"}])
def test_what_is_named_and_not_there_blocks_and_is_a_problem(entry: dict[str, str]) -> None:
    spec = spec_of(network={"allow": [entry]})
    found = planned(EMPTY, spec)
    assert not found.changes
    assert [blocked.object for blocked in found.blocked] == list(entry.values())
    assert [problem.name for problem in problems(EMPTY, spec).values()] == [next(iter(entry)).replace("_", " ")]


def test_a_prefix_list_that_may_not_be_looked_into_needs_the_flag() -> None:
    landscape = replace(EMPTY, prefix_lists={"pl-1": DENIED})
    spec = spec_of(network={"allow": [{"prefix_list": "pl-1"}]})
    (blocked,) = planned(landscape, spec).blocked
    assert "nobody knows how wide pl-1 is" in blocked.reason
    assert check(landscape, spec, "prefix list").outcome == "not checked"
    assert not planned(landscape, spec, allow_wide=True).blocked


# --- width -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cidrs", "wide"),
    [
        (["0.0.0.0/0"], "0.0.0.0/0"),
        (["::/0"], "::/0"),
        (["203.0.0.0/15"], "203.0.0.0/15"),
        (["203.0.0.0/16"], None),
        (["2001::/31"], "2001::/31"),
        (["2001:db8::/32"], None),
        (["203.0.113.7/32"], None),
        (["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/1"),
        (["10.0.0.0/16", "10.1.0.0/16"], "10.0.0.0/15, which is what 10.0.0.0/16, 10.1.0.0/16 add up to"),
        (["10.0.0.0/16", "10.2.0.0/16"], None),
    ],
)
def test_networks_that_are_too_wide_are_refused_without_the_flag(cidrs: list[str], wide: str | None) -> None:
    spec = spec_of(network={"allow": [{"cidr": cidr} for cidr in cidrs]})
    assert set(problems(EMPTY, spec)) == (set() if wide is None else {"allowed addresses"})
    found = planned(EMPTY, spec)
    assert bool(found.changes) == (wide is None)
    assert planned(EMPTY, spec, allow_wide=True).changes
    if wide is not None:
        assert wide in check(EMPTY, spec, "allowed addresses").detail
        assert "--allow-wide" in found.blocked[0].fix
        assert f"LET IN BY --allow-wide, wider than /16 or IPv6 /32: {wide}" in (
            check(EMPTY, spec, "allowed addresses", allow_wide=True).detail
        )


def test_the_whole_internet_is_said_loudly() -> None:
    spec = spec_of(network={"allow": [{"cidr": "0.0.0.0/0"}, {"cidr": "10.0.0.0/8"}]})
    everybody, many = (change.summary for change in planned(EMPTY, spec, allow_wide=True).changes[1:3])
    assert everybody.startswith("let EVERYBODY ON THE INTERNET, 0.0.0.0/0, connect to port 5432")
    assert many.startswith("let ALL OF 10.0.0.0/8 connect")


def test_what_expired_is_not_too_wide_any_more() -> None:
    spec = spec_of(network={"allow": [{"cidr": "0.0.0.0/0", "expires": "2020-01-01"}]})
    assert not planned(EMPTY, spec).blocked
    assert check(EMPTY, spec, "allowed addresses").outcome == "ok"


def test_prefix_lists_are_looked_into() -> None:
    world = replace(OFFICE, networks=("203.0.113.0/24", "0.0.0.0/0"))
    spec = spec_of(network={"allow": [{"prefix_list": "pl-1"}]})
    landscape = replace(EMPTY, prefix_lists={"pl-1": world})
    assert "0.0.0.0/0 of pl-1 is too wide" in problems(landscape, spec)["allowed addresses"].detail
    assert planned(landscape, spec).blocked


# --- groups beside ours ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "outcome", "words"),
    [
        ((by_hand("203.0.113.7/32"), by_hand("0.0.0.0/0", 22, 22)), None, ""),
        ((by_hand("198.51.100.7/32"),), "ok", "sg-web (web) lets in, beyond network.allow: 198.51.100.7/32"),
        (
            (by_hand("0.0.0.0/0", -1, -1, "-1"), replace(by_hand("198.51.100.7/32"), id="sgr-narrow")),
            "problem",
            "that is too wide: 0.0.0.0/0",
        ),
        ((by_hand("pl-1"),), "not checked", "AWS denied"),
    ],
)
def test_what_another_group_lets_in_is_named_and_refused_where_it_is_too_wide(
    rules: tuple[Ingress, ...], outcome: str | None, words: str
) -> None:
    group = replace(WEB, ingress=rules)
    landscape = replace(EMPTY, security_groups=(group,), prefix_lists={"pl-1": DENIED})
    spec = spec_of(network={"security_groups": ["web"]})
    found = [c for c in checks(landscape, spec, TODAY) if c.name == "other groups"]
    assert [c.outcome for c in found] == ([outcome] if outcome else [])
    assert all(words in c.detail for c in found)
    if outcome == "problem":
        assert "revoke-security-group-ingress --group-id sg-web --security-group-rule-ids sgr-9" in found[0].fix
        assert check(landscape, spec, "other groups", allow_wide=True).outcome == "ok"


def test_a_list_in_another_group_whose_networks_add_up_is_refused_by_its_rule() -> None:
    group = replace(WEB, ingress=(by_hand("pl-1"),))
    halves = replace(OFFICE, networks=("10.0.0.0/16", "10.1.0.0/16"))
    landscape = replace(EMPTY, security_groups=(group,), prefix_lists={"pl-1": halves})
    found = check(landscape, spec_of(network={"security_groups": ["web"]}), "other groups")
    assert found.outcome == "problem"
    assert "10.0.0.0/15, which is what 10.0.0.0/16, 10.1.0.0/16 add up to" in found.detail
    assert "--security-group-rule-ids sgr-9" in found.fix


# --- quotas ----------------------------------------------------------------------------------------------------------


def many(number: int) -> list[dict[str, str]]:
    return [{"cidr": f"203.0.113.{host}/32"} for host in range(number)]


@pytest.mark.parametrize(
    ("allow", "there", "fits"),
    [
        (many(60), 0, True),
        (many(61), 0, False),
        ([*many(60), {"cidr": "2001:db8::/48"}], 0, True),
        ([*many(59), {"security_group": "web"}], 0, True),
        ([*many(60), {"security_group": "web"}], 0, False),
        ([*many(40), {"prefix_list": "pl-1"}], 0, True),
        ([*many(41), {"prefix_list": "pl-1"}], 0, False),
        (many(50), 11, False),
    ],
)
def test_rules_beyond_the_quota_are_a_problem_before_anything_is_made(
    allow: list[dict[str, str]], there: int, fits: bool
) -> None:
    group = replace(OUR_GROUP, ingress=tuple(by_hand(f"198.51.100.{host}/32") for host in range(there)))
    landscape = replace(EMPTY, security_groups=(group, WEB), prefix_lists={"pl-1": OFFICE})
    found = check(landscape, spec_of(network={"allow": allow}), "quota of rules")
    assert found.outcome == ("ok" if fits else "problem")
    assert fits or "L-0EA8095F" in found.fix


def test_a_quota_that_is_not_known_is_not_checked() -> None:
    spec = spec_of(network={"allow": many(70)})
    assert check(replace(EMPTY, rule_quota=DENIED), spec, "quota of rules").outcome == "not checked"
    assert check(replace(EMPTY, rule_quota=100), spec, "quota of rules").detail == "inbound rules: 70, of at most 100"


def test_an_instance_takes_five_groups() -> None:
    names = ["a", "b", "c", "d", "e"]
    groups = tuple(SecurityGroup(f"sg-{name}", name, VPC, {}, ()) for name in names)
    landscape = replace(EMPTY, security_groups=groups)
    assert not problems(landscape, spec_of(network={"security_groups": names[:4]}))
    found = problems(landscape, spec_of(network={"security_groups": names}))
    assert set(found) == {"quota of groups"}
    assert found["quota of groups"].detail == "security groups: 6, of at most 5"


def test_a_list_of_aws_costs_what_aws_says() -> None:
    aws = replace(OFFICE, max_entries=None)
    assert addresses.cost(["pl-1"], {"pl-1": aws}) == 1
    assert addresses.cost(["pl-1"], {"pl-1": replace(aws, name="com.amazonaws.global.cloudfront.origin-facing")}) == 55
    assert addresses.cost(["pl-1"], {"pl-1": NotChecked("no", "ask")}) == 1
