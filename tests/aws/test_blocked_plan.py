"""Plans that cannot be carried out: what `plan` says of it, and the exit status of `plan --check`."""

from __future__ import annotations

from replica_access.aws import ownership

from .desk import SPEC, Desk, assert_told, desk

__all__ = ["desk"]


def declare(desk: Desk, line: str) -> str:
    """Write a spec whose [replica] has this line, too; return the file."""
    path = desk.program.directory / "odd.toml"
    text = SPEC.format(replica=desk.replica).replace("[[network.allow]]", f"{line}\n[[network.allow]]")
    path.write_text(text, encoding="utf-8")
    return path.name


def test_a_plan_that_apply_would_refuse_says_so(desk: Desk) -> None:
    spec = declare(desk, 'class = "db.r99g.large"')
    told = "1 problem stands in the way of apply: `replica-access check` shows it."
    assert_told(desk.run("--spec", spec, "plan"), 0, "db.r99g.large", told)
    ran = desk.run("--spec", spec, "--format", "json", "plan")
    assert ran.document["blocked"] == []
    assert told in ran.err
    assert_told(desk.run("--spec", spec, "apply", "--yes"), 1, "instance class: db.r99g.large")
    assert "in the way" not in desk.run("plan").err


def test_a_plan_that_is_blocked_as_a_whole_is_not_taken_for_an_empty_one(desk: Desk) -> None:
    spec = declare(desk, 'subnet_group = "nowhere"')
    assert_told(desk.run("--spec", spec, "plan"), 0, "Nothing to do, 1 blocked.", "there is no subnet group nowhere")
    assert_told(desk.run("--spec", spec, "plan", "--check"), 4, "What AWS lacks could not be planned.")


def test_a_group_of_ours_on_the_primary_stops_everything_that_would_open_it(desk: Desk) -> None:
    spec, sandbox = declare(desk, ""), desk.sandbox
    before = [each["VpcSecurityGroupId"] for each in sandbox.instance()["VpcSecurityGroups"]]
    with sandbox.group() as group:
        sandbox.ec2.create_tags(Resources=[group], Tags=ownership.as_list(ownership.tags(desk.replica)))
        try:
            attach(desk, *before, group)
            told = f"{group} (", "is attached to prod-db, too, and lets the same addresses in there"
            assert_told(desk.run("--spec", spec, "check"), 1, *told)
            assert_told(desk.run("--spec", spec, "access", "allow", "203.0.113.9", "--yes"), 1, *told)
            assert_told(desk.run("--spec", spec, "apply", "--yes"), 1, *told)
        finally:
            attach(desk, *before)
        assert_told(desk.run("--spec", spec, "check"), 0)


def attach(desk: Desk, *groups: str) -> None:
    """Give the primary these security groups."""
    desk.sandbox.rds.modify_db_instance(
        DBInstanceIdentifier="prod-db", VpcSecurityGroupIds=list(groups), ApplyImmediately=True
    )
    desk.sandbox.settle("prod-db")
