"""`export sql`: the whole set-up as a script, tried with the real psql."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.cli.catalogs import facts
from tests.cli.conftest import Shop

PASSWORD = "a password"


def psql(shop: Shop, script: Path | str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a file, or a command, as the admin, who is no superuser; `given` is typed where it asks for something."""
    what = ["-f", str(script)] if isinstance(script, Path) else ["-c", script]
    return subprocess.run(
        [shop.server.installation.tool("psql"), "-X", "-q", "-d", shop.dsn(dbname="postgres"), *what],
        input=given,
        env={**shop.server.installation.environment(), "PGPASSWORD": shop.password},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # without a terminal it reads passwords from its input
    )


def exported(shop: Shop, *options: str) -> Path:
    path = shop.run.directory / "set-up.sql"
    ran = shop.run("export", "sql", "--out", str(path), *options)
    assert (ran.status, ran.out) == (0, ""), ran
    assert ran.err.endswith(f"Wrote {path}.\n")
    return path


def keep_password(shop: Shop) -> None:
    """Do what the script asks for, and put the password where the program looks for it."""
    assert psql(shop, '\\password "bi"', f"{PASSWORD}\n{PASSWORD}\n").returncode == 0
    kept = shop.run.directory / "bi.password"
    kept.write_text(PASSWORD, encoding="utf-8")
    kept.chmod(0o600)


def test_the_script_leaves_nothing_to_do(shop: Shop) -> None:
    ran = psql(shop, exported(shop))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == 'unless it has one, give a password to the login: \\password "bi"\n'
    keep_password(shop)
    plan = shop.run("plan", "--check")
    assert plan.status == 0, plan
    with shop.as_user() as bi:
        bi.execute("SELECT * FROM sales.orders, stock.items")


def test_it_does_what_apply_does(shop: Shop) -> None:
    assert shop.run("apply", "--yes").status == 0
    applied = without_passwords(facts(shop.superuser))
    shop.forget_readers()
    assert psql(shop, exported(shop)).returncode == 0
    assert without_passwords(facts(shop.superuser)) == applied


def test_it_is_the_whole_set_up_even_where_all_of_it_is_there(shop: Shop) -> None:
    before = exported(shop).read_text(encoding="utf-8")
    assert shop.run("apply", "--yes").status == 0
    assert exported(shop).read_text(encoding="utf-8") == before
    assert "GRANT" not in shop.run("plan", "--sql").out


def test_it_can_be_run_again(shop: Shop) -> None:
    assert shop.run("apply", "--yes").status == 0
    script = exported(shop)
    with shop.unchanged():
        ran = psql(shop, script)
        assert ran.returncode == 0
        assert set(re.findall(r"\b[A-Z]{4,}(?=: )", ran.stderr)) == {"NOTICE"}  # a member already
    assert '"readers" is there already: its attributes are left as they are\n' in ran.stdout
    shop.sql(
        "SET SESSION AUTHORIZATION app_owner; REVOKE SELECT ON sales.orders FROM readers;"
        "CREATE TABLE sales.refunds (); REVOKE SELECT ON sales.refunds FROM readers"
    )
    try:
        assert psql(shop, script).returncode == 0
        assert shop.run("plan", "--check").status == 3  # a script knows no table of later
        assert psql(shop, exported(shop)).returncode == 0
        assert shop.run("plan", "--check").status == 0
    finally:
        shop.sql("DROP TABLE sales.refunds")


def test_it_stops_at_the_first_error_and_leaves_the_database_as_it_was(shop: Shop) -> None:
    script = exported(shop)
    shop.sql("ALTER TABLE stock.items RENAME TO gone")
    try:
        ran = psql(shop, script)
        assert ran.returncode == 3
        assert 'relation "stock.items" does not exist' in ran.stderr
        assert "password" not in ran.stdout
        assert shop.sql("SELECT has_schema_privilege('readers', 'sales', 'USAGE')") == "f"
    finally:
        shop.sql("ALTER TABLE stock.gone RENAME TO items")


def test_no_password_is_in_it(shop: Shop) -> None:
    assert shop.run("apply", "--yes").status == 0
    kept = (shop.run.directory / "bi.password").read_text(encoding="utf-8").strip()
    script = exported(shop).read_text(encoding="utf-8")
    assert kept not in script
    assert "SCRAM" not in script
    assert shop.password not in script


def test_odd_names_are_names_in_it(shop: Shop) -> None:
    odd = "we'i\"rd \\gset :x"
    shop.declare(users=f'[users."{odd.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"]\n'
                       'member_of = ["readers"]\nsecret = "file:odd.password"\n')  # fmt: skip
    try:
        script = exported(shop)
        for _ in range(2):
            ran = psql(shop, script)
            assert ran.returncode == 0, ran.stderr
        assert '\\password "we\'i""rd \\gset :x"\n' in ran.stdout
        assert shop.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'we%'") == odd
    finally:
        shop.forget_readers(odd)


def test_what_the_admin_may_not_grant_stops_it_or_is_left_out(shop: Shop) -> None:
    shop.sql("CREATE SCHEMA closed AUTHORIZATION boss; CREATE TABLE closed.t (); ALTER TABLE closed.t OWNER TO boss")
    try:
        refused = shop.run("export", "sql")
        assert (refused.status, refused.out) == (1, "")
        assert "closed" in refused.err
        assert "as boss: GRANT" in refused.err
        ran = shop.run("export", "sql", "--skip-blocked")
        assert ran.status == 0
        assert "closed" not in ran.out
        assert "left out: " in ran.err
    finally:
        shop.sql("DROP SCHEMA closed CASCADE")


def test_what_a_reader_owns_has_its_owner_in_the_script_too(shop: Shop) -> None:
    assert shop.run("apply", "--yes").status == 0
    shop.sql("GRANT CREATE ON SCHEMA stock TO bi; CREATE TABLE sales.mine (); ALTER TABLE sales.mine OWNER TO bi")
    try:
        ran = psql(shop, exported(shop))
        assert ran.returncode == 0, ran.stderr
        plan = shop.run("plan", "--check")
        assert plan.status == 3  # CREATE is more than a reader should have
        assert plan.out.startswith("Taken away only with --allow-revoke")
    finally:
        shop.sql("DROP TABLE sales.mine; REVOKE CREATE ON SCHEMA stock FROM bi")


def test_standard_output_has_the_script_alone(shop: Shop) -> None:
    shop.declare(databases='["shop", "tomorrow"]')
    ran = shop.run("export", "sql")
    assert ran.out.startswith("\\set ON_ERROR_STOP on\n")
    assert ran.err == "database tomorrow: no such database yet; readers gets its grants there at the next run\n"
    assert shop.run("export", "sql", "-q").err == ""
    document = shop.run("export", "sql", "--format", "json").document
    assert document == {
        "schema": "replica-access/export-sql/1",
        "sql": ran.out,
        "notes": ["database tomorrow: no such database yet; readers gets its grants there at the next run"],
    }
    told = shop.run("export", "sql", "--format", "json", "--out", str(path := shop.run.directory / "set-up.sql"))
    assert told.document == {"schema": "replica-access/export/1", "file": str(path)}
    assert path.read_text(encoding="utf-8") == ran.out


def test_what_is_on_rds_is_not_exported_of_other_servers(shop: Shop) -> None:
    for what in (["cloudformation"], ["iam-policy", "--for", "audit"], ["iam-policy", "--for", "connect", "bi"]):
        ran = shop.run("export", *what)
        assert (ran.status, ran.out) == (2, ""), what
        assert ran.err == (
            "Error: The primary of this spec is no RDS instance.\n`export sql` is what there is to export.\n"
        )


def test_the_login_that_audits_is_made_by_a_script_and_finds_what_the_admin_finds(shop: Shop) -> None:
    assert shop.run("apply", "--yes").status == 0
    script = exported(shop, "--for", "audit", "--role", "watch")
    for _ in range(2):
        ran = psql(shop, script)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith('"watch" is there already: its attributes are left as they are\n')
    assert psql(shop, '\\password "watch"', f"{PASSWORD}\n{PASSWORD}\n").returncode == 0
    try:
        shop.declare(dsn=shop.dsn(user="watch"))
        told = shop.run("audit", "--format", "json", "--history", "none", PGPASSWORD=PASSWORD)
        assert told.document["not_checked"] == []
        assert told.status == 0, told
    finally:
        shop.forget_readers("watch")


def test_a_reader_or_a_name_of_the_server_is_no_auditor(shop: Shop) -> None:
    for name, why in (("bi", "bi is a reader of the spec."), ("rdsx", "rdsx cannot be the role that audits: names")):
        ran = shop.run("export", "sql", "--for", "audit", "--role", name)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith(f"Error: {why}")
    assert shop.run("export", "sql", "--role", "watch").status == 2


def without_passwords(found: list[str]) -> list[str]:
    return [re.sub(r"with(out)? a password", "", fact) for fact in found]
