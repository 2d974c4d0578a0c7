"""The rules of the audit on real servers: absent, provoked by psql, and gone once the remedies have been run."""

from __future__ import annotations

from datetime import date

import pytest

from replica_access import auditing, workflow
from replica_access.findings import Audit, Finding
from replica_access.progress import SILENT
from replica_access.sandbox.binaries import find_installations
from replica_access.sandbox.server import PostgresServer
from replica_access.spec import Spec, parse

from .world import World

TODAY = date(2026, 11, 23)

SABOTAGES: tuple[tuple[str, str, str, str], ...] = (
    ("excess-write", "reader", "leasing.lease", 'GRANT INSERT, DELETE ON leasing.lease TO :"reader"'),
    ("excess-write", "reader", "leasing.lease.tenant", 'GRANT UPDATE (tenant) ON leasing.lease TO :"reader"'),
    ("excess-write", "reader", "leasing.invoice_number",
     'GRANT UPDATE ON SEQUENCE leasing.invoice_number TO :"reader"'),
    ("excess-change", "reader", "leasing.history", 'GRANT TRIGGER, REFERENCES ON leasing.history TO :"reader"'),
    ("excess-create", "reader", "leasing", 'GRANT CREATE ON SCHEMA leasing TO :"reader"'),
    ("excess-create", "reader", "database", 'GRANT CREATE ON DATABASE :"database" TO :"reader"'),
    ("excess-temporary", "user", "database", 'GRANT TEMPORARY ON DATABASE :"database" TO :"user"'),
    ("excess-read", "reader", "vault", 'GRANT USAGE ON SCHEMA vault TO :"reader"'),
    ("excess-read", "reader", "vault.keys", 'GRANT SELECT ON vault.keys TO :"reader"'),
    ("excess-definer", "user", "leasing.peek(integer)",
     """CREATE FUNCTION leasing.peek(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
     REVOKE EXECUTE ON FUNCTION leasing.peek FROM PUBLIC; GRANT EXECUTE ON FUNCTION leasing.peek TO :"user" """),
    ("excess-execute", "user", 'leasing."odd Name"()',
     """CREATE FUNCTION leasing."odd Name"() RETURNS int LANGUAGE sql AS 'SELECT 1';
     GRANT EXECUTE ON FUNCTION leasing."odd Name" TO :"user" """),
    ("excess-execute", "reader", "pg_catalog.pg_read_file(text)",
     'GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO :"reader"'),
    ("excess-read", "user", "pg_catalog.pg_authid", 'GRANT SELECT ON pg_catalog.pg_authid TO :"user"'),
    ("excess-foreign", "reader", "elsewhere", 'GRANT USAGE ON FOREIGN SERVER elsewhere TO :"reader"'),
    ("excess-large-object", "reader", "424242",
     'SELECT lo_create(424242); GRANT UPDATE ON LARGE OBJECT 424242 TO :"reader"'),
    ("excess-parameter", "user", "log_statement", 'GRANT SET ON PARAMETER log_statement TO :"user"'),
    ("excess-grant-option", "reader", "leasing.open", 'GRANT SELECT ON leasing.open TO :"reader" WITH GRANT OPTION'),
    ("excess-owner", "user", "leasing.mine",
     'CREATE TABLE leasing.mine (); ALTER TABLE leasing.mine OWNER TO :"user"'),
    ("excess-future", "reader", "tables of {migrator} in leasing",
     'ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" IN SCHEMA leasing GRANT INSERT ON TABLES TO :"reader"'),
    ("excess-attribute", "user", "CREATEDB", 'ALTER ROLE :"user" CREATEDB'),
    ("excess-attribute", "reader", "BYPASSRLS", 'ALTER ROLE :"reader" BYPASSRLS'),
    ("excess-predefined", "user", "pg_write_all_data", 'GRANT pg_write_all_data TO :"user"'),
    ("excess-membership", "user", "{app_owner}", 'GRANT :"app_owner" TO :"user"'),
    ("excess-exclusion", "reader", "leasing.password_reset", 'GRANT SELECT ON leasing.password_reset TO PUBLIC'),
    ("public-read", "PUBLIC", "leasing.password_reset", "SELECT"),
    ("public-write", "PUBLIC", "leasing.history", "GRANT UPDATE ON leasing.history TO PUBLIC"),
    ("public-create", "PUBLIC", "leasing", "GRANT CREATE ON SCHEMA leasing TO PUBLIC"),
    ("public-definer", "PUBLIC", "leasing.shout()",
     "CREATE FUNCTION leasing.shout() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"),
    ("public-foreign", "PUBLIC", "nowhere", "GRANT USAGE ON FOREIGN DATA WRAPPER nowhere TO PUBLIC"),
    ("public-future", "PUBLIC", "tables of {app_owner} anywhere",
     'ALTER DEFAULT PRIVILEGES FOR ROLE :"app_owner" GRANT INSERT ON TABLES TO PUBLIC'),
    ("public-parameter", "PUBLIC", "log_duration", "GRANT SET ON PARAMETER log_duration TO PUBLIC"),
    ("public-connect", "PUBLIC", "database", 'GRANT CONNECT ON DATABASE :"database" TO PUBLIC'),
    ("public-temporary", "PUBLIC", "database", 'GRANT TEMPORARY ON DATABASE :"database" TO PUBLIC'),
    ("lack-missing", "reader", "leasing", 'REVOKE SELECT ON leasing.lease FROM :"reader"'),
    ("login-expired", "user", "valid_until", """ALTER ROLE :"user" VALID UNTIL '2020-01-31'"""),
    ("login-no-limit", "user", "connection_limit", 'ALTER ROLE :"user" CONNECTION LIMIT -1'),
    ("login-no-timeout", "user", "statement_timeout", 'ALTER ROLE :"user" SET statement_timeout = 0'),
    ("login-admin-option", "{migrator}", "reader", 'GRANT :"reader" TO :"migrator" WITH ADMIN OPTION'),
)  # fmt: skip

FOUND = find_installations()
NEWEST = pytest.mark.parametrize(
    "installation",
    ([each for each in FOUND if each.tls] or FOUND)[-1:],
    ids=lambda each: f"pg{each.major}",
    indirect=True,
)
"""For what is the same in every major: the newest that has TLS will do."""

Key = tuple[str, str, str]


def audit(world: World, spec: Spec | None = None) -> Audit:
    spec = spec or world.spec()
    return auditing.audit(spec, workflow.host(spec), SILENT, TODAY)


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
    found = [each for each in audit(world).findings if _is_of(world, each)]
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
def test_what_the_spec_names_and_nobody_will_get(world: World) -> None:
    """What is not there yet, what no reader reads, and what the next migration makes."""
    creators = f'["{world.app_owner}"]'
    databases = f'["{world.database}", "not_yet"]'
    spec = world.spec(schemas='["leasing"]', creators=creators, databases=databases)
    world.apply(spec)
    found = {key(each): each for each in audit(world, spec).findings if each.family == "lack"}
    future = ("lack-future", world.reader, f"leasing by {world.migrator}")
    assert future in found
    assert ("lack-pending", "database not_yet", "") in found
    assert ("lack-unseen", "readers", '"Odd.Schema ""x"""') in found
    assert ("lack-unseen", "readers", "vault") not in found  # somebody has said that nobody should
    world.primary.psql(found[future].remedy, dbname=world.database)
    assert future not in set(map(key, audit(world, spec).findings))


@NEWEST
@pytest.mark.parametrize("admin", ["rds"], indirect=True)
def test_what_the_admin_may_not_grant_is_said_with_who_may(world: World) -> None:
    world.apply()
    world.sabotage("CREATE TABLE leasing.of_the_superuser ()")
    blocked = [each for each in audit(world).findings if each.rule == "lack-blocked"]
    assert [each.remedy for each in blocked if "GRANT" in each.remedy]


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
def test_a_finding_that_is_meant_is_accepted_and_one_that_is_not_found_any_more_is_said(world: World) -> None:
    world.apply()
    world.sabotage('GRANT INSERT ON leasing.lease TO :"reader"')
    entry = '[[accepted]]\nrule = "excess-write"\nsubject = "{}"\nobject = "leasing.*"\nreason = "a test"\n'
    spec = parse(world.spec_text() + entry.format(world.reader))
    told = audit(world, spec)
    assert [each.finding.object for each in told.accepted] == ["leasing.lease"]
    assert "excess-write" not in {each.rule for each in told.findings}
    world.sabotage('REVOKE INSERT ON leasing.lease FROM :"reader"')
    after = audit(world, spec)
    if not after.not_checked:
        assert "accepted-stale" in {each.rule for each in after.findings}


@NEWEST
@pytest.mark.parametrize("admin", ["superuser"], indirect=True)
def test_what_becomes_of_a_select_that_passes_all_privileges(world: World) -> None:
    world.apply()
    wanted = {
        ("lack-rows", world.reader, "leasing.history"),
        ("lack-view", world.reader, "leasing.invoking"),
        ("excess-view", world.reader, "leasing.leaking"),
    }
    assert not wanted & set(map(key, audit(world).findings))
    world.sabotage("ALTER TABLE leasing.history ENABLE ROW LEVEL SECURITY")
    world.sabotage(
        """SET ROLE :"app_owner";
        CREATE VIEW leasing.invoking WITH (security_invoker = true) AS SELECT * FROM vault.keys;
        CREATE VIEW leasing.leaking AS SELECT * FROM vault.keys;"""
    )
    found = {key(each): each for each in audit(world).findings}
    assert wanted <= found.keys()
    for each in sorted(wanted):  # excess first: what mends the other view would hide that this one shows too much
        world.primary.psql(found[each].remedy, dbname=world.database)
        assert each not in set(map(key, audit(world).findings))
