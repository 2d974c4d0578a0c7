from __future__ import annotations

import pytest

from replica_access.postgres import statements

ODD = 'a"b.c%s{} \n\\🏠\udce9'


def test_names_are_quoted_whatever_they_hold() -> None:
    assert statements.quoted(ODD) == '"a""b.c%s{} \n\\🏠\udce9"'
    assert statements.usage_on("GRANT", [ODD, "b"], "PUBLIC") == (
        'GRANT USAGE ON SCHEMA "a""b.c%s{} \n\\🏠\udce9", "b" TO "PUBLIC"'
    )


def test_values_are_literals() -> None:
    assert statements.comment_on_role("r", "it's 100% {} \\") == "COMMENT ON ROLE \"r\" IS  E'it''s 100% {} \\\\'"
    assert statements.comment_on_role("r", None) == 'COMMENT ON ROLE "r" IS NULL'


def test_roles() -> None:
    assert statements.create_role("r", login=False) == 'CREATE ROLE "r" NOLOGIN'
    assert (
        statements.create_role("u", login=True, connection_limit=3, valid_until="2027-01-01 23:59:59+00")
        == "CREATE ROLE \"u\" LOGIN CONNECTION LIMIT 3 VALID UNTIL '2027-01-01 23:59:59+00'"
    )
    assert statements.alter_valid_until("u", None) == "ALTER ROLE \"u\" VALID UNTIL 'infinity'"


@pytest.mark.parametrize(
    ("setting", "value", "statement"),
    [
        ("statement_timeout", "15min", 'ALTER ROLE "u" SET "statement_timeout" TO \'15min\''),
        ("search_path", 'app, "Odd"', "ALTER ROLE \"u\" SET \"search_path\" TO 'app', 'Odd'"),
        ("app.tenant", "a, b", 'ALTER ROLE "u" SET "app"."tenant" TO \'a, b\''),
        ("work_mem", None, 'ALTER ROLE "u" RESET "work_mem"'),
    ],
)
def test_settings(setting: str, value: str | None, statement: str) -> None:
    assert statements.alter_setting("u", setting, value) == statement


def test_privileges_and_their_inverse() -> None:
    assert (
        statements.select_on("GRANT", statements.Names([("s", "a"), ("s", "b.c")]), "r")
        == 'GRANT SELECT ON TABLE "s"."a", "s"."b.c" TO "r"'
    )
    assert (
        statements.select_on("REVOKE", statements.Names([("s", "q")]), "r", sequences=True)
        == 'REVOKE SELECT ON SEQUENCE "s"."q" FROM "r"'
    )
    assert statements.default("GRANT", ["USAGE"], "SCHEMAS", "r", creators=["c", "d"]) == (
        'ALTER DEFAULT PRIVILEGES FOR ROLE "c", "d" GRANT USAGE ON SCHEMAS TO "r"'
    )
    assert statements.default("REVOKE", ["SELECT"], "TABLES", "r", creators=["c"], schemas=["s", "t"]) == (
        'ALTER DEFAULT PRIVILEGES FOR ROLE "c" IN SCHEMA "s", "t" REVOKE SELECT ON TABLES FROM "r"'
    )


def test_grant_options_and_their_inverse() -> None:
    tables = statements.Names([("s", "a")])
    assert statements.on("GRANT", ["SELECT", "INSERT"], "TABLE", tables, "r", option=True) == (
        'GRANT SELECT, INSERT ON TABLE "s"."a" TO "r" WITH GRANT OPTION'
    )
    assert statements.on("REVOKE", ["SELECT"], "TABLE", tables, "r", option=True) == (
        'REVOKE GRANT OPTION FOR SELECT ON TABLE "s"."a" FROM "r"'
    )
    assert statements.on("REVOKE", ["SELECT", "UPDATE"], "TABLE", tables, "r", columns=["x", 'y"']) == (
        'REVOKE SELECT ("x", "y"""), UPDATE ("x", "y""") ON TABLE "s"."a" FROM "r"'
    )


def test_memberships_come_back_as_they_were() -> None:
    assert statements.revoke_membership("g", "r", granted_by="boss") == 'REVOKE "g" FROM "r" GRANTED BY "boss"'
    assert statements.revoke_membership("g", "r", only_admin=True) == 'REVOKE ADMIN OPTION FOR "g" FROM "r"'
    made_again = statements.grant_membership_as_it_was(
        "g", "r", admin=False, inherit=True, set_role=False, granted_by="boss"
    )
    assert made_again == 'GRANT "g" TO "r" WITH ADMIN FALSE, INHERIT TRUE, SET FALSE GRANTED BY "boss"'


def test_joining_and_leaving() -> None:
    assert statements.join(["a"], "me") == 'GRANT "a" TO "me"'
    assert (
        statements.join(["a", "b"], "me", inherit=True, set_role=True)
        == 'GRANT "a", "b" TO "me" WITH INHERIT TRUE, SET TRUE'
    )
    assert statements.leave(["a", "b"], "me") == 'REVOKE "a", "b" FROM "me"'
