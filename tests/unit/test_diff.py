"""The diff, on catalogs written by hand: no server."""

from __future__ import annotations

from dataclasses import replace

from replica_access.catalog import (
    Cluster,
    Columns,
    Database,
    DatabaseCatalog,
    DefaultPrivileges,
    Entry,
    Membership,
    Relations,
    Role,
    Schema,
)
from replica_access.desired import Desired, Rule, WantedRole
from replica_access.model import PUBLIC, Plan, Request
from replica_access.patterns import Exclusion
from replica_access.postgres.diff import CHUNK, diff_database
from replica_access.postgres.diff_roles import diff_connect, diff_roles

ADMIN, OWNER, MIGRATOR, READER, CHIEF, PUBLIC_OWNER = 10, 11, 12, 13, 14, 15
APP, LEASING = 100, 101

ROLES = {
    ADMIN: Role(ADMIN, "master", create_role=True, create_db=True, login=True),
    OWNER: Role(OWNER, "app_owner"),
    MIGRATOR: Role(MIGRATOR, "migrator"),
    READER: Role(READER, "analytics"),
    CHIEF: Role(CHIEF, "chief", superuser=True),
    PUBLIC_OWNER: Role(PUBLIC_OWNER, "pg_database_owner"),
}
ADMIN_OPTIONS = (
    Membership(OWNER, ADMIN, CHIEF, admin=True, inherit=False, set_role=False),
    Membership(MIGRATOR, ADMIN, CHIEF, admin=True, inherit=False, set_role=False),
    Membership(READER, ADMIN, CHIEF, admin=True, inherit=False, set_role=False),
)
CLUSTER = Cluster(
    system_identifier="1",
    version=170010,
    in_recovery=False,
    patched_by_rds=False,
    admin=ADMIN,
    roles=ROLES,
    memberships=ADMIN_OPTIONS,
    databases={"app": Database(1, "app", OWNER, connect=frozenset({READER}), create=frozenset({OWNER}))},
)
LEASING_SCHEMA = Schema(LEASING, "leasing", OWNER, usage=frozenset({OWNER, READER}), create=frozenset({OWNER}))
CATALOG = DatabaseCatalog("app", OWNER, {LEASING: LEASING_SCHEMA}, ())
RULE = Rule("analytics", ("leasing",), (), "auto", future=False)


def desired(*rules: Rule) -> Desired:
    return Desired((), {"app": rules}, (), ())


def missing(owner: int, *names: str, kind: str = "r") -> Relations:
    """Relations that only their owner reads."""
    own = (Entry(owner, owner, "SELECT"),)
    return Relations(LEASING, owner, kind == "S", len(names), own, tuple((name, kind) for name in names))


def sql(rules: tuple[Rule, ...], catalog: DatabaseCatalog, cluster: Cluster = CLUSTER) -> list[str]:
    plan = diff_database(desired(*rules), cluster, catalog, Request())
    return [statement for change in plan.changes for statement in change.sql]


# --- what is granted -------------------------------------------------------------------------------------------------


def test_nothing_missing_is_an_empty_plan() -> None:
    plan = diff_database(desired(RULE), CLUSTER, CATALOG, Request())
    assert plan == Plan()


def test_relations_of_several_owners_are_one_statement() -> None:
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease", "payment"), missing(MIGRATOR, "history")))
    plan = diff_database(desired(RULE), CLUSTER, catalog, Request())
    (change,) = plan.changes
    assert change.sql == (
        'GRANT SELECT ON TABLE "leasing"."history", "leasing"."lease", "leasing"."payment" TO "analytics"',
    )
    assert change.undo == (
        'REVOKE SELECT ON TABLE "leasing"."history", "leasing"."lease", "leasing"."payment" FROM "analytics"',
    )
    assert set(change.join) == {"app_owner", "migrator"}
    assert change.summary == "let analytics read 3 tables in leasing"


def test_sequences_are_granted_apart() -> None:
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease"), missing(OWNER, "lease_id_seq", kind="S")))
    assert sql((RULE,), catalog) == [
        'GRANT SELECT ON TABLE "leasing"."lease" TO "analytics"',
        'GRANT SELECT ON SEQUENCE "leasing"."lease_id_seq" TO "analytics"',
    ]


def test_long_lists_come_in_chunks() -> None:
    names = [f"t{number:05}" for number in range(2 * CHUNK + 1)]
    statements = sql((RULE,), replace(CATALOG, relations=(missing(OWNER, *names),)))
    assert [statement.count('"leasing"') for statement in statements] == [CHUNK, CHUNK, 1]


def test_excluded_relations_are_left_out() -> None:
    rule = replace(RULE, exclusions=(Exclusion.parse("leasing.password_*"), Exclusion.parse('leasing."odd.name"')))
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease", "odd.name", "password_reset"),))
    assert sql((rule,), catalog) == ['GRANT SELECT ON TABLE "leasing"."lease" TO "analytics"']


def lease_columns(*columns: tuple[str, bool]) -> Columns:
    """`columns`: each with whether the reader has SELECT on it."""
    readable_by = {True: frozenset({READER}), False: frozenset[int]()}
    listed = tuple((name, readable_by[readable]) for name, readable in columns)
    return Columns(LEASING, OWNER, "lease", "r", frozenset({OWNER}), listed)


def test_of_a_relation_with_an_excluded_column_the_others_are_granted() -> None:
    rule = replace(RULE, exclusions=(Exclusion.parse("leasing.lease.ssn"), Exclusion.parse("leasing.*.secret_*")))
    columns = lease_columns(("id", True), ("ssn", False), ("secret_note", False), ("tenant", False))
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease", "payment"),), columns=(columns,))
    assert sql((rule,), catalog) == [
        'GRANT SELECT ON TABLE "leasing"."payment" TO "analytics"',
        'GRANT SELECT ("tenant") ON TABLE "leasing"."lease" TO "analytics"',
    ]


def test_a_relation_without_the_excluded_column_is_granted_whole() -> None:
    rule = replace(RULE, exclusions=(Exclusion.parse("leasing.*.ssn"),))
    catalog = replace(
        CATALOG, relations=(missing(OWNER, "lease"),), columns=(lease_columns(("id", False), ("tenant", False)),)
    )
    assert sql((rule,), catalog) == ['GRANT SELECT ON TABLE "leasing"."lease" TO "analytics"']


def test_a_rule_that_wants_the_column_gives_the_whole_relation() -> None:
    rule = replace(RULE, exclusions=(Exclusion.parse("leasing.lease.ssn"),))
    catalog = replace(
        CATALOG, relations=(missing(OWNER, "lease"),), columns=(lease_columns(("id", False), ("ssn", False)),)
    )
    assert sql((rule, RULE), catalog) == ['GRANT SELECT ON TABLE "leasing"."lease" TO "analytics"']


def test_an_excluded_column_that_can_be_read_all_the_same_is_named() -> None:
    rule = replace(RULE, exclusions=(Exclusion.parse("leasing.lease.ssn"),))
    columns = replace(lease_columns(("id", True), ("ssn", False)), readable_by=frozenset({PUBLIC}))
    plan = diff_database(desired(rule), CLUSTER, replace(CATALOG, columns=(columns,)), Request())
    assert [(p.kind, p.name) for p in plan.pending] == [("column", "app.leasing.lease")]


def test_what_one_rule_excludes_another_may_want() -> None:
    excluding = replace(RULE, exclusions=(Exclusion.parse("leasing.lease"),))
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease"),))
    assert sql((excluding,), catalog) == []
    assert sql((excluding, RULE), catalog) == ['GRANT SELECT ON TABLE "leasing"."lease" TO "analytics"']


def test_usage_that_only_public_gives_is_granted_all_the_same() -> None:
    schema = replace(LEASING_SCHEMA, usage=frozenset({OWNER, PUBLIC}))
    catalog = replace(CATALOG, schemas={LEASING: schema})
    assert sql((RULE,), catalog) == ['GRANT USAGE ON SCHEMA "leasing" TO "analytics"']


def test_usage_through_a_group_is_not_granted_again() -> None:
    schema = replace(LEASING_SCHEMA, usage=frozenset({OWNER, MIGRATOR}))
    member = Membership(MIGRATOR, READER, CHIEF)
    cluster = replace(CLUSTER, memberships=(*ADMIN_OPTIONS, member))
    catalog = replace(CATALOG, schemas={LEASING: schema})
    assert sql((RULE,), catalog, cluster) == []
    not_inherited = replace(CLUSTER, memberships=(*ADMIN_OPTIONS, replace(member, inherit=False)))
    assert sql((RULE,), catalog, not_inherited) == ['GRANT USAGE ON SCHEMA "leasing" TO "analytics"']


def test_the_schema_public_is_granted_by_the_owner_of_the_database() -> None:
    public = Schema(LEASING, "public", PUBLIC_OWNER, usage=frozenset({PUBLIC}), create=frozenset())
    catalog = replace(CATALOG, schemas={LEASING: public})
    plan = diff_database(desired(replace(RULE, schemas=("public",))), CLUSTER, catalog, Request())
    assert [change.join for change in plan.changes] == [("app_owner",)]


def test_where_the_owner_cannot_name_its_schema_the_owner_of_the_schema_is_joined_too() -> None:
    schema = replace(LEASING_SCHEMA, usage=frozenset({OWNER, READER}))
    catalog = replace(CATALOG, schemas={LEASING: schema}, relations=(missing(MIGRATOR, "history"),))
    (change,) = diff_database(desired(RULE), CLUSTER, catalog, Request()).changes
    assert set(change.join) == {"migrator", "app_owner"}


# --- what is blocked -------------------------------------------------------------------------------------------------


def test_objects_of_a_superuser_are_blocked_with_the_statement_for_their_owner() -> None:
    catalog = replace(CATALOG, relations=(missing(CHIEF, "secret_plan"), missing(OWNER, "lease")))
    plan = diff_database(desired(RULE), CLUSTER, catalog, Request())
    assert [change.object for change in plan.changes] == ["leasing.lease"]
    (blocked,) = plan.blocked
    assert "chief is a superuser" in blocked.reason
    assert blocked.fix == 'as chief: GRANT SELECT ON TABLE "leasing"."secret_plan" TO "analytics";'


def test_without_admin_option_an_owner_is_not_joined_since_16() -> None:
    cluster = replace(CLUSTER, memberships=())
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease"),))
    (blocked,) = diff_database(desired(RULE), cluster, catalog, Request()).blocked
    assert "no ADMIN OPTION on app_owner" in blocked.reason
    before = replace(cluster, version=150018)
    assert diff_database(desired(RULE), before, catalog, Request()).blocked == ()


def test_on_rds_its_own_build_lets_rds_superuser_join() -> None:
    rds = Role(20, "rds_superuser")
    cluster = replace(
        CLUSTER, roles={**ROLES, 20: rds}, memberships=(Membership(20, ADMIN, CHIEF),), patched_by_rds=True
    )
    catalog = replace(CATALOG, relations=(missing(OWNER, "lease"),))
    assert diff_database(desired(RULE), cluster, catalog, Request()).blocked == ()
    assert diff_database(desired(RULE), replace(cluster, patched_by_rds=False), catalog, Request()).blocked


def test_system_roles_are_never_joined() -> None:
    cluster = replace(CLUSTER, roles={**ROLES, 20: Role(20, "rdsadmin_helper")})
    (blocked,) = diff_database(
        desired(RULE), cluster, replace(CATALOG, relations=(missing(20, "pg_stat_statements"),))
    ).blocked
    assert "system role" in blocked.reason


# --- what is made from now on ----------------------------------------------------------------------------------------

FUTURE = replace(RULE, future=True)


def test_listed_schemas_get_defaults_in_them_for_all_creators_by_evidence() -> None:
    schema = replace(LEASING_SCHEMA, create=frozenset({OWNER, PUBLIC}))
    catalog = replace(CATALOG, schemas={LEASING: schema}, owners={(LEASING, MIGRATOR): 1, (LEASING, CHIEF): 1})
    assert sql((FUTURE,), catalog) == [
        'ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner", "migrator" IN SCHEMA "leasing"'
        f' GRANT SELECT ON {kind} TO "analytics"'
        for kind in ("TABLES", "SEQUENCES")
    ]


def test_creators_that_lack_something_else_get_it_apart() -> None:
    catalog = replace(
        CATALOG,
        owners={(LEASING, MIGRATOR): 1},
        default_privileges=(DefaultPrivileges(MIGRATOR, LEASING, "r", frozenset({READER})),),
    )
    assert [
        (change.object, len(change.sql)) for change in diff_database(desired(FUTURE), CLUSTER, catalog).changes
    ] == [
        ("app_owner", 2),
        ("migrator", 1),
    ]


def test_a_star_gets_defaults_anywhere_schemas_included() -> None:
    statements = sql((replace(FUTURE, schemas=("*",)),), CATALOG)
    assert statements == [
        'ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner" GRANT SELECT ON TABLES TO "analytics"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner" GRANT SELECT ON SEQUENCES TO "analytics"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner" GRANT USAGE ON SCHEMAS TO "analytics"',
    ]


def test_members_of_a_group_that_may_create_are_creators() -> None:
    schema = replace(LEASING_SCHEMA, create=frozenset({MIGRATOR}))
    cluster = replace(
        CLUSTER,
        roles={**ROLES, 21: Role(21, "deployer", login=True)},
        memberships=(
            *ADMIN_OPTIONS,
            Membership(MIGRATOR, 21, CHIEF),
            Membership(21, ADMIN, CHIEF, admin=True, inherit=False),
        ),
    )
    statements = sql((FUTURE,), replace(CATALOG, schemas={LEASING: schema}), cluster)
    assert [s.split(" IN ")[0].split(" ROLE ")[1] for s in statements] == ['"app_owner", "deployer", "migrator"'] * 2


def test_defaults_that_hold_anywhere_cover_every_schema() -> None:
    rows = tuple(DefaultPrivileges(OWNER, 0, kind, frozenset({READER})) for kind in "rS")
    assert sql((FUTURE,), replace(CATALOG, default_privileges=rows)) == []


def test_only_the_missing_kind_is_granted() -> None:
    rows = (DefaultPrivileges(OWNER, LEASING, "S", frozenset({READER})),)
    assert sql((FUTURE,), replace(CATALOG, default_privileges=rows)) == [
        'ALTER DEFAULT PRIVILEGES FOR ROLE "app_owner" IN SCHEMA "leasing" GRANT SELECT ON TABLES TO "analytics"'
    ]


def test_named_creators_replace_the_evidence() -> None:
    statements = sql((replace(FUTURE, creators=("migrator", "not_there_yet")),), CATALOG)
    assert {s.split('"')[1] for s in statements} == {"migrator"}


def test_a_superuser_that_owns_something_is_named_not_covered() -> None:
    catalog = replace(CATALOG, owners={(LEASING, CHIEF): 3})
    plan = diff_database(desired(FUTURE), CLUSTER, catalog, Request())
    assert [(p.kind, p.name) for p in plan.pending] == [("creator", "chief")]
    assert "owns 3 relations" in plan.pending[0].reason


def test_a_pattern_that_future_tables_may_fit_is_named() -> None:
    rule = replace(FUTURE, exclusions=(Exclusion.parse("leasing.password_*"), Exclusion.parse("leasing.lease")))
    plan = diff_database(desired(rule), CLUSTER, CATALOG, Request())
    assert [(p.kind, p.name) for p in plan.pending] == [("exclusion", "app: leasing.password_*")]


def test_a_schema_that_does_not_exist_yet_is_pending() -> None:
    plan = diff_database(
        desired(replace(RULE, schemas=("leasing", "next_year", "maybe_*"))), CLUSTER, CATALOG, Request()
    )
    assert [(p.kind, p.name) for p in plan.pending] == [("schema", "app.next_year")]


# --- roles and databases ---------------------------------------------------------------------------------------------


def roles(wanted: WantedRole, cluster: Cluster = CLUSTER, stored: frozenset[str] = frozenset({"bi"})) -> list[str]:
    plan = diff_roles(Desired((wanted,), {}, (), ()), cluster, stored)
    return [s for change in plan.changes for s in change.sql] + [f"{b.reason} | {b.fix}" for b in plan.blocked]


BI = WantedRole("bi", login=True, secret="replica-access/bi")
EXISTING = Role(30, "bi", login=True)


def with_bi(role: Role) -> Cluster:
    return replace(
        CLUSTER, roles={**ROLES, 30: role}, memberships=(*ADMIN_OPTIONS, Membership(30, ADMIN, CHIEF, admin=True))
    )


def test_a_new_login_gets_its_password_after_it_exists() -> None:
    assert roles(BI) == ['CREATE ROLE "bi" LOGIN', "ALTER ROLE \"bi\" PASSWORD 'SCRAM-SHA-256$…'"]


def test_an_existing_role_is_taken_when_it_fits() -> None:
    assert roles(BI, with_bi(EXISTING)) == []


def test_an_existing_role_with_dangerous_attributes_is_not_taken() -> None:
    for existing, word in (
        (replace(EXISTING, superuser=True), "SUPERUSER"),
        (replace(EXISTING, create_role=True), "CREATEROLE"),
        (replace(EXISTING, bypass_rls=True), "BYPASSRLS"),
    ):
        (said,) = roles(BI, with_bi(existing))
        assert f"has {word}, which no reader may have" in said
        assert f'ALTER ROLE "bi" NO{word};' in said


def test_an_existing_login_without_our_password_is_not_ours() -> None:
    (said,) = roles(BI, with_bi(EXISTING), frozenset())
    assert "its password is not in replica-access/bi" in said


def test_an_existing_login_is_no_group() -> None:
    (said,) = roles(WantedRole("bi", login=False), with_bi(EXISTING))
    assert 'ALTER ROLE "bi" NOLOGIN;' in said


def test_a_role_that_the_admin_may_not_alter_is_blocked_with_the_statement() -> None:
    cluster = replace(with_bi(EXISTING), memberships=())
    (said,) = roles(replace(BI, connection_limit=20), cluster)
    assert "may not alter it" in said
    assert 'ALTER ROLE "bi" CONNECTION LIMIT 20;' in said


def test_connect_that_only_public_gives_is_granted_all_the_same() -> None:
    database = Database(1, "app", OWNER, connect=frozenset({PUBLIC, OWNER}), create=frozenset({OWNER}))
    plan = diff_connect(desired(RULE), replace(CLUSTER, databases={"app": database}), Request())
    assert [change.sql for change in plan.changes] == [('GRANT CONNECT ON DATABASE "app" TO "analytics"',)]
    assert plan.changes[0].join == ("app_owner",)
    assert diff_connect(desired(RULE), CLUSTER, Request()).changes == ()
