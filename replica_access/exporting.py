"""The same set-up for people who deploy by other means, as `workflow` has it for those who do not.

::

    template    a CloudFormation template of what `apply` would make in AWS
    policy      what IAM has to allow for that, for looking, or for logging in
    grants      the plan of users and grants, for a script
    auditor     the plan of a role that audits and can do nothing else, for a script

Each is of the whole set-up, whatever of it is there already.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from replica_access import workflow
from replica_access.errors import UsageError
from replica_access.model import Request
from replica_access.names import shown
from replica_access.outlook import EVERYTHING, Outlook, refuse_what_stands_in_the_way
from replica_access.progress import Progress
from replica_access.side_by_side import in_each

if TYPE_CHECKING:  # these load pydantic, boto3 or psycopg; only the uses that need them do
    from replica_access.hosting import Hosting
    from replica_access.spec import Spec

Purpose = Literal["provision", "audit", "connect"]
"""What an IAM policy is for."""

Exported = tuple[dict[str, Any], tuple[str, ...]]
"""A document, and sentences about what stands in its way or is not in it."""


def template(spec: Spec, progress: Progress, request: Request) -> Exported:
    """Return the CloudFormation template of what `apply` would make in AWS, were nothing of it there.

    :raises UsageError: the spec has no replica on RDS.
    :raises Blocked: the plan could not be carried out.
    """
    from replica_access.aws.hosting import RdsHosting
    from replica_access.aws.templates import cloudformation

    _require_rds(spec)
    if spec.replica is None:
        raise UsageError("The spec has no [replica].", "Name one there by instance: the template makes it.")
    hosting = RdsHosting.open(spec, timeout_s=workflow.REPLICA_TIMEOUT_S)
    progress.stage("looking at AWS")
    try:
        checks, plan = hosting.look_afresh(request)
    finally:
        hosting.close()
    refuse_what_stands_in_the_way(Outlook((), around=plan))
    notes = [
        f"{check.name}: {check.detail}. {check.fix}" for check in checks if check.outcome in {"problem", "not checked"}
    ]
    notes += [f"{pending.kind} {pending.name}: {pending.reason}" for pending in plan.pending]
    return cloudformation(change.call for change in plan.changes if change.call is not None), tuple(notes)


def policy(spec: Spec, purpose: Purpose, user: str | None) -> Exported:
    """Return the IAM policy for whoever provisions, audits, or connects as `user`.

    :raises UsageError: the spec has nothing on RDS, or `user` needs no policy.
    :raises NotFound: the policy names the replica, and there is none yet.
    """
    from replica_access.aws import identity, permissions

    _require_rds(spec)
    if purpose == "connect":
        return permissions.connect(spec, user or "", partial(identity.account_of_replica, spec)), ()
    account, notes = identity.account(spec)
    make = permissions.provision if purpose == "provision" else permissions.audit
    return make(spec, account), notes


def grants(spec: Spec, hosting: Hosting, progress: Progress) -> Outlook:
    """Return the plan that `apply` would make for a primary on which none of the readers is there yet.

    :raises Error: the primary, or one of its databases, could not be asked.
    """
    from replica_access.postgres import planning
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect
    from replica_access.postgres.foresight import without

    progress.stage("looking at the primary")
    login = hosting.primary()
    with connect(login, read_only=True) as connection:
        bare = without((*spec.roles, *spec.users), read_cluster(connection))
        found, cluster_plan = planning.plan_cluster(connection, spec, frozenset(), EVERYTHING, bare)
    examined = in_each(list(found.databases), partial(workflow.look_at_database, login, found, False))
    databases = {name: each.plan for name, each in examined.items()}
    return Outlook((), cluster=cluster_plan, databases=databases, server=found.cluster)


def auditor(spec: Spec, hosting: Hosting, progress: Progress, name: str) -> Outlook:
    """Return the plan that makes the login `name` for audits, for a primary on which it is not there yet.

    :raises UsageError: no role can have that name, or the spec gives it to a reader.
    :raises Error: the primary could not be asked.
    """
    from replica_access.postgres.auditor import plan_auditor
    from replica_access.postgres.catalog import read_cluster
    from replica_access.postgres.connect import connect
    from replica_access.spec import refusal_of_role

    if reason := refusal_of_role(name):
        raise UsageError(f"{shown(name)} cannot be the role that audits: {reason}.", "Name another with --role.")
    if name in spec.roles or name in spec.users:
        raise UsageError(f"{shown(name)} is a reader of the spec.", "Name another role with --role.")
    progress.stage("looking at the primary")
    with connect(hosting.primary(), read_only=True) as connection:
        found = read_cluster(connection)
    by_iam = spec.primary.auth == "iam" and spec.primary.admin_secret is None
    return Outlook((), cluster=plan_auditor(found, name, by_iam=by_iam), server=found)


def _require_rds(spec: Spec) -> None:
    if not spec.on_rds:
        raise UsageError("The primary of this spec is no RDS instance.", "`export sql` is what there is to export.")
