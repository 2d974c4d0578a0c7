"""The rules of the audit on real servers: absent, provoked by psql, and gone once the remedies have been run."""

from __future__ import annotations

import shlex
from datetime import date

import pytest

from replica_access import auditing, workflow
from replica_access.findings import Audit, Finding
from replica_access.progress import SILENT
from replica_access.sandbox.binaries import find_installations
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec, parse

from ..provocations import Key, proves, saw
from .sabotages import SABOTAGED, SABOTAGES
from .world import ADDITIVE, REVOKING, World

TODAY = date(2026, 11, 23)

FOUND = find_installations()
NEWEST = pytest.mark.parametrize(
    "installation",
    ([each for each in FOUND if each.tls] or FOUND)[-1:],
    ids=lambda each: f"pg{each.major}",
    indirect=True,
)
"""For what is the same in every major: the newest that has TLS will do."""


def audit(world: World, spec: Spec | None = None) -> Audit:
    spec = spec or world.spec()
    found = auditing.audit(spec, workflow.host(spec), SILENT, TODAY)
    saw(map(key, found.findings))
    return found


def key(finding: Finding) -> Key:
    return finding.rule, finding.subject, finding.object


def names(world: World) -> dict[str, str]:
    fields = ("app_owner", "migrator", "reader", "user", "database")
    return {name: getattr(world, name) for name in fields}


def expected(world: World) -> set[Key]:
    known = names(world)

    def named(text: str) -> str:
        return known.get(text, text.format(**known))

    return {(rule, named(subject), named(about)) for rule, subject, about, _ in SABOTAGES}


def run_remedies(world: World, findings: list[Finding]) -> None:
    """SQL as a superuser in the database of the finding; then, once, what the program does."""
    commands = set()
    for finding in findings:
        database = finding.database or world.database
        if finding.remedy.startswith("replica-access "):
            commands.add(finding.remedy)
        else:
            world.primary.psql(finding.remedy, dbname=database)
    assert commands <= {"replica-access apply --yes"}
    world.apply()


@proves(*SABOTAGED)
def test_every_rule_finds_what_was_done_and_its_remedy_undoes_it(world: World, primary: PostgresServer) -> None:
    world.sabotage('REVOKE TEMPORARY ON DATABASE :"database" FROM PUBLIC')
    world.apply()
    wanted = expected(world)
    before = audit(world)
    assert not [each for each in before.not_checked if world.database in each.what]
    assert not wanted & set(map(key, before.findings))
    assert not [each for each in before.findings if each.rule.startswith(("excess", "lack")) and _is_of(world, each)]
    for _, _, _, sql in SABOTAGES:
        world.sabotage(sql)
    told = audit(world)
    assert not [each for each in told.not_checked if world.database in each.what]
    found = [each for each in told.findings if _is_of(world, each)]
    assert wanted - set(map(key, found)) == set()
    assert not [each for each in found if "" in {each.message, each.remedy, each.evidence, each.server}]
    run_remedies(world, [each for each in found if key(each) in wanted])
    left = set(map(key, audit(world).findings))
    assert wanted & left == set()
    assert primary.psql("SELECT count(*) FROM pg_prepared_xacts") == "0"


def _is_of(world: World, finding: Finding) -> bool:
    """Whether a finding is about this world: the server has databases of others too."""
    return finding.database in {None, world.database} and "postgres" not in finding.object


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("lack-future", "lack-unseen", "lack-pending")
def test_what_the_spec_names_and_nobody_will_get(world: World) -> None:
    """What is not there yet, what no reader reads, and what the next migration makes."""
    creators = f'["{world.app_owner}"]'
    world.apply(world.spec(creators=creators))
    audit(world)
    world.sabotage("""REVOKE SELECT ON ALL TABLES IN SCHEMA "Odd.Schema ""x""\" FROM :"reader" """)
    databases = f'["{world.database}", "not_yet"]'
    replaced = {"schemas": '["leasing", "coming"]', "creators": creators, "databases": databases}
    spec = world.spec(**replaced)
    found = {key(each): each for each in audit(world, spec).findings if each.family == "lack"}
    future = ("lack-future", world.reader, f"leasing by {world.migrator}")
    assert future in found
    assert ("lack-pending", "database not_yet", "") in found
    pending = ("lack-pending", f"schema {world.database}.coming", "")
    assert pending in found
    unseen = ("lack-unseen", "readers", '"Odd.Schema ""x"""')
    assert unseen in found
    assert ("lack-unseen", "readers", "vault") not in found  # somebody has said that nobody should
    world.primary.psql(found[future].remedy, dbname=world.database)
    world.sabotage("CREATE SCHEMA coming")
    granted = world.run(*shlex.split(found[unseen].remedy, comments=True)[1:], **replaced)
    assert granted.returncode == 0, granted
    spec = parse((world.directory / "replica-access.toml").read_text(encoding="utf-8"))
    left = {key(each) for each in audit(world, spec).findings}
    assert not {future, unseen, pending} & left


@NEWEST
@pytest.mark.parametrize("admin", ["rds"], indirect=True)
@proves("lack-blocked")
def test_what_the_admin_may_not_grant_is_said_with_who_may(world: World) -> None:
    world.apply()
    assert "lack-blocked" not in {each.rule for each in audit(world).findings}
    world.sabotage("CREATE TABLE leasing.of_the_superuser (); CREATE SCHEMA of_the_superuser")
    blocked = [each for each in audit(world).findings if each.rule == "lack-blocked"]
    assert [each.remedy for each in blocked if "GRANT" in each.remedy]
    for each in blocked:
        world.primary.psql(each.remedy, dbname=each.database or "postgres")
    assert "lack-blocked" not in {each.rule for each in audit(world).findings}


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("accepted-stale")
def test_a_finding_that_is_meant_is_accepted_and_one_that_is_not_found_any_more_is_said(world: World) -> None:
    world.apply()
    world.sabotage('GRANT INSERT ON leasing.lease TO :"reader"')
    entry = '[[accepted]]\nrule = "excess-write"\nsubject = "{}"\nobject = "leasing.*"\nreason = "a test"\n'
    spec = parse(world.spec_text() + entry.format(world.reader))
    told = audit(world, spec)
    assert [each.finding.object for each in told.accepted] == ["leasing.lease"]
    assert "excess-write" not in {each.rule for each in told.findings}
    world.sabotage('REVOKE INSERT ON leasing.lease FROM :"reader"')
    (stale,) = [each for each in audit(world, spec).findings if each.rule == "accepted-stale"]
    assert stale.remedy == "# take it out of [[accepted]] in the spec: rule excess-write"
    assert "accepted-stale" not in {each.rule for each in audit(world).findings}


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("lack-rows", "lack-view", "excess-view")
def test_what_becomes_of_a_select_that_passes_all_privileges(world: World) -> None:
    world.apply()
    wanted = {
        ("lack-rows", world.reader, "leasing.history"),
        ("lack-view", world.reader, "leasing.invoking"),
        ("excess-view", world.reader, "leasing.leaking"),
        ("excess-view", world.reader, "leasing.kept"),
    }
    assert not wanted & set(map(key, audit(world).findings))
    world.sabotage("ALTER TABLE leasing.history ENABLE ROW LEVEL SECURITY")
    world.sabotage(
        """SET ROLE :"app_owner";
        CREATE VIEW leasing.invoking WITH (security_invoker = true) AS SELECT * FROM vault.keys;
        CREATE VIEW leasing.leaking AS SELECT * FROM vault.keys;
        CREATE MATERIALIZED VIEW leasing.kept AS SELECT * FROM vault.keys;"""
    )
    found = {key(each): each for each in audit(world).findings}
    assert wanted <= found.keys()
    for each in sorted(wanted):  # excess first: what mends the other view would hide that this one shows too much
        world.primary.psql(found[each].remedy, dbname=world.database)
        assert each not in set(map(key, audit(world).findings))


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("excess-view")
def test_a_view_that_shows_a_column_which_the_spec_excludes(world: World) -> None:
    world.apply()
    audit(world)
    spec = world.spec(exclude='["vault", "leasing.password_*", "leasing.lease.tenant"]')
    world.apply(spec, REVOKING)
    (shows,) = [each for each in audit(world, spec).findings if each.rule == "excess-view"]
    assert key(shows) == ("excess-view", world.reader, "leasing.open")
    assert "sees leasing.lease.tenant, which" in shows.message
    world.primary.psql(shows.remedy, dbname=world.database)
    assert "excess-view" not in {each.rule for each in audit(world, spec).findings}


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("excess-exclusion")
def test_an_exclusion_that_other_roles_undo_and_none_of_them_loses_anything(world: World) -> None:
    world.apply()
    audit(world)
    world.sabotage('GRANT :"app_owner" TO :"user"; GRANT pg_read_all_data TO :"reader"')
    found = [each for each in audit(world).findings if each.rule == "excess-exclusion"]
    assert {each.object for each in found} == {"vault.keys", "leasing.password_reset"}
    for each in found:
        world.primary.psql(each.remedy, dbname=world.database)
    assert "excess-exclusion" not in {each.rule for each in audit(world).findings}
    of_owner = "SELECT has_table_privilege(:'app_owner', 'vault.keys', 'SELECT')"
    assert world.primary.psql(of_owner, dbname=world.database, variables={"app_owner": world.app_owner}) == "t"


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("excess-part")
def test_a_partition_and_a_child_that_the_spec_excludes_and_their_parents_show(world: World) -> None:
    world.sabotage(
        """SET ROLE :"app_owner"; CREATE TABLE leasing.parent (id int);
        CREATE TABLE vault.child () INHERITS (leasing.parent);"""
    )
    world.apply(request=ADDITIVE)
    spec = world.spec(exclude='["leasing.password_*", "leasing.payment_1"]')
    everything = world.spec(exclude='["leasing.password_*"]')
    assert "excess-part" not in {each.rule for each in audit(world, everything).findings}
    shows = [each for each in audit(world).findings if each.rule == "excess-part"]
    shows += [each for each in audit(world, spec).findings if each.rule == "excess-part"]
    assert [(each.object, each.message.split()[2]) for each in shows] == [
        ("leasing.parent", "vault.child,"),
        ("leasing.payment", "leasing.payment_1,"),
    ]
    for each in shows:
        world.primary.psql(each.remedy, dbname=world.database)
    assert "excess-part" not in {each.rule for each in audit(world).findings}
    assert "excess-part" not in {each.rule for each in audit(world, spec).findings}


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
@proves("public-foreign", "excess-foreign")
def test_an_extension_that_reaches_other_servers_and_its_types_which_do_not(world: World) -> None:
    if world.primary.psql("SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'") == "0":
        pytest.skip("this server has no dblink")
    world.apply()
    audit(world)
    world.sabotage('CREATE EXTENSION dblink; GRANT EXECUTE ON FUNCTION dblink_connect_u(text) TO :"reader"')
    found = [each for each in audit(world).findings if "foreign" in each.rule and each.database == world.database]
    (function,) = [each for each in found if each.rule == "excess-foreign"]
    assert (function.subject, function.object) == (world.reader, "public.dblink_connect_u(text)")
    (public,) = [each for each in found if each.rule == "public-foreign"]
    assert public.object.endswith(" functions in public")
    for each in found:
        world.primary.psql(each.remedy, dbname=world.database)
    assert not [each for each in audit(world).findings if "foreign" in each.rule and each.database == world.database]
