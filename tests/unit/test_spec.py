from __future__ import annotations

from pathlib import Path

import pytest

from replica_access import spec_limits
from replica_access.aws import ownership
from replica_access.errors import SpecError
from replica_access.spec import Spec, load, parse

MINIMAL = """
version = 1
[primary]
instance = "prod-db"
[replica]
instance = "prod-db-analytics"
[roles.analytics]
[users.bi]
member_of = ["analytics"]
[[grants]]
to = "analytics"
databases = ["app"]
"""

REPLICAS = 'version = 1\n[primary]\ndsn = "host=db1"\n[replica]\ndsn = '


def wrong(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text, "replica-access.toml")
    assert caught.value.exit_status == 2
    return caught.value.what


def test_the_defaults() -> None:
    spec = parse(MINIMAL)
    assert spec.grants[0].schemas == ("*",)
    assert spec.grants[0].creators == "auto"
    assert spec.grants[0].future
    assert spec.replica is not None
    assert spec.replica.publicly_accessible
    assert spec.secret_of("bi") == "replica-access/bi"
    assert spec.groups_of("bi") == {"bi", "analytics"}


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("[aws]\nregion = 'ap-southeast-2'\nregoin = 'x'", "replica-access.toml:16: aws.regoin: unknown key; allowed here: region, profile, account."),  # noqa: E501
        ("[aws]\naccount = '12'", "aws.account: '12'"),
        ("[[network.allow]]\ncidr = '203.0.113.7/33'", "network.allow[1].cidr: '203.0.113.7/33': not an address or network"),  # noqa: E501
        ("[[network.allow]]\ncidr = '203.0.113.7/32'\nexpires = 'soon'", "network.allow[1].expires: 'soon'"),
        ("[[network.allow]]\nnote = 'x'", "replica-access.toml:14: network.allow[1]: give exactly one of cidr, prefix_list and security_group."),  # noqa: E501
        ("[[network.allow]]\ncidr = '203.0.113.7/32'\nprefix_list = 'pl-1'", "replica-access.toml:14: network.allow[1]: give exactly one of"),  # noqa: E501
        ("[[network.allow]]\nprefix_list = 'office'", "network.allow[1].prefix_list: 'office' is no prefix list; write pl-"),  # noqa: E501
        ("[[network.allow]]\nsecurity_group = ''", "network.allow[1].security_group"),
        ("[[grants]]\nto = 'nobody'\ndatabases = ['app']", "nobody, which is no role or user of this spec; defined are: analytics, bi"),  # noqa: E501
        ("[[grants]]\nto = 'bi'\ndatabases = []", "grants[2].databases"),
        ("[[grants]]\nto = 'bi'\ndatabases = ['a']\nexclude = ['a.b.c.d']", "'a.b.c.d' has 4 parts"),
        ("[[grants]]\nto = 'bi'\ndatabases = ['a']\nprivileges = ['write']", "grants[2].privileges"),
        ("[users.two]\nmember_of = ['other']", "users.two.member_of: names other, which is no role of this spec"),
        ("[users.pg_two]", "names that begin with pg_ or rds"),
        ("[users.public]", "PostgreSQL reserves this name"),
        ("[users.analytics]", "analytics is a role and a user"),
        (f"[users.{'x' * 64}]", "63 bytes are allowed"),
        ("[roles.a]\nmember_of = ['b']\n[roles.b]\nmember_of = ['a']", "a is a member of itself"),
        ("[users.two]\nconnection_limit = -2", "users.two.connection_limit"),
        ("[users.two]\nsettings = { 'drop table' = 'x' }", "users.two.settings"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(added: str, said: str) -> None:
    assert said in wrong(MINIMAL + "\n" + added)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = wrong(MINIMAL + "\n[aws]\nbogus = 1\n[[network.allow]]\ncidr = 'x'")
    assert "aws.bogus" in said
    assert "network.allow[1].cidr" in said


def test_a_broken_line_is_named() -> None:
    assert "line 3" in wrong("version = 1\n[primary]\ninstance = prod\n")


def test_a_missing_key_is_named() -> None:
    assert "version: is missing" in wrong('[primary]\ninstance = "x"')


def test_instance_and_dsn_exclude_each_other() -> None:
    assert "either instance (RDS) or dsn" in wrong("version = 1\n[primary]\n")
    assert "either instance (RDS) or dsn" in wrong('version = 1\n[primary]\ninstance = "a"\ndsn = "host=b"\n')


def test_a_password_in_a_dsn_is_refused_and_not_repeated() -> None:
    for dsn in ("host=a password=hunter2", "postgresql://u:hunter2@a/db"):
        said = wrong(f'version = 1\n[primary]\ndsn = "{dsn}"\n')
        assert "a password does not belong into the spec" in said
        assert "hunter2" not in said


def test_replicas_are_one_dsn_or_several() -> None:
    for said, dsns in (
        ('"host=a"', ("host=a",)),
        ('["host=a"]', ("host=a",)),
        ('["host=b", "host=a"]', ("host=b", "host=a")),
    ):
        replica = parse(REPLICAS + said).replica
        assert replica is not None
        assert replica.dsn == dsns
    kinds = Spec.model_json_schema()["$defs"]["Replica"]["properties"]["dsn"]["anyOf"]
    assert kinds == [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": "null"},
    ]


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("[]", "replica-access.toml:5: replica.dsn: name at least one."),
        ("3", "replica-access.toml:5: replica.dsn: write a dsn in quotes, or a list of them."),
        ('["host=a", 3]', "replica-access.toml:5: replica.dsn[2]: 3 is no text in quotes."),
        ('["host=a", "host=b", "host=a"]', "replica-access.toml:5: replica.dsn[3]: is the same as dsn[1]."),
        ('"host=a password=hunter2"', "replica-access.toml:5: replica.dsn: a password does not belong into the spec"),
        ('["host=a", "postgresql://u:hunter2@b"]', "replica-access.toml:5: replica.dsn[2]: a password does not belong"),
        ('["host=a"]\ninstance = "b"', "replica-access.toml:4: replica: give either instance (RDS) or dsn"),
    ],
)
def test_what_is_wrong_with_a_dsn_of_a_replica(dsn: str, said: str) -> None:
    text = wrong(REPLICAS + dsn)
    assert said in text
    assert "hunter2" not in text


def test_networks_are_canonical() -> None:
    spec = parse(MINIMAL + "\n[[network.allow]]\ncidr = '100.68.0.18/18'\n[[network.allow]]\ncidr = '2001:DB8::1/32'")
    assert [allow.cidr for allow in spec.network.allow] == ["100.68.0.0/18", "2001:db8::/32"]


ODD_TAGS = {
    "aws:team = x": "the key 'aws:team' begins with what AWS keeps for itself",
    "RDS:team = x": "the key 'RDS:team' begins with what AWS keeps for itself",
    "team = a & b": "the value 'a & b' has '&': RDS takes letters, digits, spaces and",
    " = x": "the key '' is empty",
    f"team = {'x' * 257}": "is too long: RDS takes 256 characters",
    "managed-by = terraform": "managed-by is the tag by which we find again what is ours",
}


@pytest.mark.parametrize(("tag", "said"), ODD_TAGS.items())
def test_tags_that_rds_refuses_or_that_are_ours(tag: str, said: str) -> None:
    key, _, value = tag.partition(" = ")
    assert said in wrong(MINIMAL.replace("[roles", f'tags = {{ "{key}" = "{value}" }}\n[roles'))


def test_so_many_tags_as_fit_beside_ours() -> None:
    def tagged(number: int) -> str:
        tags = ", ".join(f'"k{each}" = "é/1"' for each in range(number))
        return MINIMAL.replace("[roles", f"tags = {{ {tags} }}\n[roles")

    spec = parse(tagged(48))
    assert spec.replica is not None
    assert len(spec.replica.tags) == 48
    assert "replica.tags: 1 too many" in wrong(tagged(49))


def test_the_tags_that_are_kept_for_us_are_those_that_we_write() -> None:
    assert set(ownership.tags("analytics")) == set(spec_limits.OUR_TAGS)


ODD_VALUES = {
    f"instance = '{'a' * 64}'": "RDS takes 63 characters in the name of an instance, and this has 64",
    "instance = 'arn:aws:rds:eu-west-1:123456789012:db:far'": "write far alone: it is made in the account and Region",
    "instance = 'Prod-DB'": "replica.instance is the primary; choose another name",
    "instance = 'a'\nsubnet_group = ''": "replica.subnet_group: is empty; write something, or leave it out",
    "instance = 'a'\nkms_key = ''": "replica.kms_key: is empty",
}


@pytest.mark.parametrize(("replica", "said"), ODD_VALUES.items())
def test_what_no_replica_can_be(replica: str, said: str) -> None:
    assert said in wrong(MINIMAL.replace('instance = "prod-db-analytics"', replica))


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        ("cidr = 'fe80::1%eth0'", "'fe80::1%eth0': not an address or network"),
        ("cidr = '::ffff:203.0.113.7'", "comes by IPv4; write 203.0.113.7/32"),
        ('cidr = "203.0.113.7"\nnote = "a\\nb"', "a note is one line, without control characters"),
        (
            f'cidr = "203.0.113.7"\nnote = "{"x" * 201}"',
            "network.allow[1].note: is too long: 200 characters are allowed",
        ),
    ],
)
def test_what_no_rule_can_say(allow: str, said: str) -> None:
    assert said in wrong(f"{MINIMAL}\n[[network.allow]]\n{allow}\n")


def test_a_log_that_is_named_twice_is_exported_once() -> None:
    spec = parse(MINIMAL.replace("[roles", 'log_exports = ["upgrade", "postgresql", "upgrade"]\n[roles'))
    assert spec.replica is not None
    assert spec.replica.log_exports == ("upgrade", "postgresql")


def test_files_that_are_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"There is no spec .*`replica-access init`"):
        load(tmp_path / "none.toml")
    with pytest.raises(SpecError, match="is a directory"):
        load(tmp_path)
    (tmp_path / "latin1.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(SpecError, match="is not UTF-8"):
        load(tmp_path / "latin1.toml")
