"""A plan that was saved and reviewed: it is carried out as it stands, or refused with what differs."""

from __future__ import annotations

import json

import pytest

from replica_access.sandbox.binaries import find_installation

from .conftest import ADMINS
from .world import World


# What a file is bound to is the same everywhere; once is enough.
@pytest.mark.parametrize("installation", [find_installation()], indirect=True, ids=str, scope="session")
@pytest.mark.parametrize("admin", [ADMINS["rds"]], ids=["rds"])
def test_a_saved_plan_is_applied_once_and_refused_when_it_is_old(world: World) -> None:
    saved = world.run("plan", "--out", "plan.json")
    assert (saved.returncode, saved.stderr) == (0, "")
    document = json.loads((world.directory / "plan.json").read_text(encoding="utf-8"))
    assert document["bound_to"]["system_identifier"] == world.primary.psql(
        "SELECT system_identifier FROM pg_control_system()"
    )

    world.sabotage('SET ROLE :"app_owner"; CREATE TABLE leasing.meanwhile (id int)')
    refused = world.run("apply", "plan.json", "--yes")
    assert refused.returncode == 3
    assert "The saved plan no longer fits" in refused.stderr
    assert "new: " in refused.stderr
    assert world.primary.psql("SELECT count(*) FROM pg_roles WHERE rolname = :'r'", variables={"r": world.user}) == "0"

    world.run("plan", "--out", "plan.json")
    other_spec = world.run("apply", "plan.json", "--yes", user="connection_limit = 21")
    assert other_spec.returncode == 3
    assert "the spec says something else" in other_spec.stderr

    applied = world.run("apply", "plan.json", "--yes")
    assert (applied.returncode, applied.stderr) == (0, "")
    assert world.plan().changes == ()

    again = world.run("apply", "plan.json", "--yes")
    assert again.returncode == 3
    assert "not needed any more: create the group" in again.stderr
