"""Servers that live on RDS: what the workflow asks of `replica_access.hosting.Hosting`, answered by AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from replica_access import passwords
from replica_access.aws import (
    addresses,
    credentials,
    ownership,
    plan,
    plan_access,
    plan_removal,
    plan_secrets,
    preflight,
    preflight_access,
    preflight_plan,
    secret_store,
    surroundings,
    survey,
    survey_removal,
)
from replica_access.aws.adoption import not_ours, our_group, without_ours
from replica_access.aws.execute import execute
from replica_access.aws.landscape import Instance, NotChecked
from replica_access.aws.readiness import is_usable
from replica_access.aws.session import Aws
from replica_access.aws.trial import try_calls
from replica_access.aws_commands import Commands
from replica_access.errors import AccessDenied, AwsError, NotOurs, UsageError
from replica_access.hosting import forget_file, shared_with
from replica_access.model import UNASKED, Change, Check, Login, Plan, Reached, Request, Secret
from replica_access.observed import Surroundings
from replica_access.progress import Progress
from replica_access.side_by_side import in_each
from replica_access.spec import Spec


class RdsHosting:
    """A primary on RDS, and the replica that the spec wants of it.

    :param timeout_s: how long one change may take; making a replica takes most of an hour at worst.
    """

    def __init__(self, aws: Aws, spec: Spec, timeout_s: float) -> None:
        self.aws = aws
        self.spec = spec
        self.timeout_s = timeout_s
        self._outputs: dict[str, str] = {}
        self._primary: Instance | None = None

    @classmethod
    def open(cls, spec: Spec, *, timeout_s: float) -> RdsHosting:
        """Open the account and Region of `spec`.

        :raises CredentialsError: AWS lets nobody in, or it is another account.
        """
        aws = Aws.open(spec.aws)
        for service in ("rds", "secretsmanager"):
            aws.client(service)  # quick to make; EC2's takes a fifth of a second, and is made while these answer
        return cls(aws, spec, timeout_s)

    def close(self) -> None:
        """Let go of all connections to AWS."""
        self.aws.close()

    def look(self, request: Request = UNASKED) -> tuple[tuple[Check, ...], Plan]:
        """Look at everything around the servers: what stands in the way, and what has to be made or changed."""
        landscape = survey.read(self.aws, self.spec)
        today = datetime.now(UTC).date()
        planned = self._with_secrets(plan.plan(landscape, self.spec, today, request), landscape.replica)
        wanted = planned.allowed(request)  # what will not be taken away needs no permission
        verdicts = try_calls(self.aws, preflight_plan.triable(wanted))
        checks = (
            *preflight.checks(landscape, self.spec, today, request),
            *preflight_plan.permissions(wanted, verdicts),
            *preflight_plan.cost(planned, landscape.source),
        )
        return checks, planned

    def look_at_addresses(self, request: Request) -> Reached:
        """Look who may reach the replica, and what that lacks or has beyond the spec.

        :raises UsageError: the spec has no replica on RDS.
        """
        name = ownership.replica_identifier(self.spec)
        if name is None:
            raise UsageError("The spec has no replica on RDS.", "Addresses are let in by the security group of one.")
        landscape, today = survey.read(self.aws, self.spec), datetime.now(UTC).date()
        if isinstance(landscape.security_groups, NotChecked):
            raise AccessDenied(landscape.security_groups.why, landscape.security_groups.fix)
        group = our_group(landscape.security_groups, name, landscape.vpc)
        commands = Commands(self.aws.region, self.spec.aws.profile)
        wide = request.allow_wide
        return Reached(
            addresses.compare(landscape, self.spec, group, today),
            tuple(preflight_access.checks(landscape, self.spec, name, commands, today, allow_wide=wide)),
            plan_access.alone(landscape, self.spec, name, group, today, allow_wide=wide),
            group.id if group is not None else None,
        )

    def look_afresh(self, request: Request) -> tuple[tuple[Check, ...], Plan]:
        """Look as `look` does, and plan for an account in which nothing of what the spec wants is there yet."""
        landscape, name = survey.read(self.aws, self.spec), ownership.replica_identifier(self.spec) or ""
        bare = without_ours(landscape, name)
        today = datetime.now(UTC).date()
        checks = preflight.checks(bare, self.spec, today, request)
        if landscape.replica is not None:
            found = f"{name} is there already, and no stack makes it a second time"
            fix = "Import it into a stack, or deploy the template where it is not."
            checks = (
                *(check for check in checks if check.name != "replica name"),
                Check("replica name", "problem", found, fix),
            )
        return checks, plan.plan(bare, self.spec, today, request)

    def surroundings(self, today: date) -> Surroundings:
        """Return what an audit has to know of AWS."""
        return surroundings.surroundings(survey.read(self.aws, self.spec), self.spec, today)

    def look_for_removal(self) -> tuple[tuple[Check, ...], Plan]:
        """Look for everything that was made for the replica, whatever became of it, and what has to go."""
        replica = ownership.replica_identifier(self.spec)
        if replica is None:
            return (), Plan()
        found = survey_removal.read(self.aws, replica, self._secrets())
        return plan_removal.checks(found), plan_removal.plan(found, self.spec.aws.profile)

    def primary(self) -> Login:
        """Return how the admin logs in to the primary."""
        home = survey.home_of(self.aws, self.spec)  # where the admin's secret is, too
        return credentials.primary_login(home, self.spec, self._primary_instance(), directory=self.spec.directory)

    def admin_name(self) -> str:
        """Return the name of the master user."""
        return self._primary_instance().master_user

    def replicas(self) -> Mapping[str, Login]:
        """Return how the admin logs in to the replica, by its identifier; empty where none can be used (yet).

        :raises NotOurs: the instance of that name is somebody else's.
        """
        replica = self._replica_instance()
        if replica is None:
            return {}
        admin = self.primary()
        if replica.region != self._primary_instance().region:  # a Region may have a bundle of certificates of its own
            there = credentials.login_to(self.aws, self.spec, replica, directory=self.spec.directory)
            admin = Login(admin.server, {**admin.parameters, **there.parameters}, admin.database, admin.password)
        return {replica.identifier: credentials.replica_login(self.aws, self.spec, replica, admin)}

    def endpoints(self) -> Mapping[str, Login]:
        """Return where the replica is, by its identifier, for `as_user`: whoever connects need not be the admin.

        :raises NotOurs: the instance of that name is somebody else's.
        """
        replica = self._replica_instance()
        if replica is None:
            return {}
        login = credentials.login_to(self.aws, self.spec, replica, directory=self.spec.directory)
        return {replica.identifier: login}

    def as_user(self, login: Login, user: str) -> Login | None:
        """Return how `user` logs in where `login` leads, or ``None`` where no password of theirs is stored."""
        if self.spec.users[user].auth == "iam":
            return credentials.with_iam_token(self.aws, login.as_user(user, None))
        password = self.password(user)
        return login.as_user(user, password) if password is not None else None

    def execute(self, change: Change, progress: Progress) -> None:
        """Carry out one change of the plan that `look` made, and wait until it holds."""
        if change.call is not None and change.call.operation == "PutSecretValue":
            self._update_secret(change.call.parameters["SecretId"])
            return
        execute(self.aws, change, self._outputs, progress, self.timeout_s)

    def password(self, user: str) -> Secret | None:
        """Return the stored password of `user`, ``None`` where none is stored; one who logs in by IAM has none."""
        if self.spec.users[user].auth == "iam":
            return None
        secret = self.spec.secret_of(user)
        if passwords.is_file(secret):
            return passwords.read_file(passwords.path_of(secret, self.spec.directory))
        return secret_store.read_password(self.aws, secret)

    def keeps_password(self, user: str) -> bool:
        """Return whether the password of `user` is stored, or comes back with a secret that the plan restores."""
        try:
            return self.password(user) is not None
        except AwsError:
            if secret_store.restorable(self.aws, self.spec.secret_of(user)) is None:
                raise
            return True

    def password_written_on(self, user: str) -> date | None:
        """Return the day, in UTC, on which the stored password of `user` was written; see `hosting.Hosting`."""
        secret = self.spec.secret_of(user)
        if passwords.is_file(secret):
            return passwords.written_on(passwords.path_of(secret, self.spec.directory))
        return secret_store.written_on(self.aws, secret)

    def store_password(self, user: str, password: Secret) -> None:
        """Store the password of `user`, with the endpoint that it is meant for, before any server learns of it."""
        secret = self.spec.secret_of(user)
        if passwords.is_file(secret):
            passwords.write_file(passwords.path_of(secret, self.spec.directory), password)
            return
        instance = self._replica_instance() or self._primary_instance()
        endpoint = credentials.endpoint(instance)
        secret_store.store_password(
            self.aws,
            secret,
            user,
            password,
            host=endpoint["host"],
            port=int(endpoint["port"]),
            database=self.spec.first_database_of(user) or self.spec.primary.database,
            instance=instance.identifier,
            tags=ownership.tags(instance.identifier),
        )

    def forget_password(self, user: str) -> str:
        """Delete the password of `user` where it is stored; see `hosting.Hosting`. A secret can be restored."""
        if self.spec.users[user].auth == "iam":
            return ""
        secret = self.spec.secret_of(user)
        if passwords.is_file(secret):
            return forget_file(self.spec, user, passwords.path_of(secret, self.spec.directory))
        owners = {ownership.replica_identifier(self.spec), ownership.identifier(self.spec.primary.instance or "")}
        return shared_with(self.spec, user) or secret_store.delete(self.aws, secret, owners)

    def _with_secrets(self, planned: Plan, replica: Instance | None) -> Plan:
        """Return `planned` with what brings our secrets' endpoints up to date, once there is a replica."""
        name = ownership.replica_identifier(self.spec)
        if name is None or planned.blocked:
            return planned
        found = in_each(list(self._secrets()), self._kept)
        kept = {secret: each for secret, each in found.items() if isinstance(each, secret_store.Kept)}
        deleted = {secret: each for secret, each in found.items() if isinstance(each, Mapping)}
        behind = {secret: self._tags(secret, name) for secret in plan_secrets.behind(kept, replica)}
        shared = {secret: tags for secret, tags in behind.items() if self._is_of_another(tags, name)}
        follow = plan_secrets.follow({s: behind[s] for s in behind if s not in shared}, self._secrets(), name)
        restored = plan_secrets.restored(deleted, self._secrets(), name)
        return replace(
            planned,
            changes=(*planned.changes, *follow, *restored),
            pending=(*planned.pending, *plan_secrets.shared(shared, name)),
        )

    def _kept(self, secret: str) -> secret_store.Kept | Mapping[str, str] | None:
        """Return what `secret` holds, or, where it is ours and deleted, its tags."""
        try:
            return secret_store.read(self.aws, secret)
        except AwsError:  # otherwise a problem of logging in, which is told there
            return secret_store.restorable(self.aws, secret)

    def _tags(self, secret: str, name: str) -> Mapping[str, str]:
        try:
            return secret_store.tags_of(self.aws, secret)
        except AccessDenied:  # for whoever only looks; `apply` is stopped by it
            return ownership.tags(name)

    def _is_of_another(self, tags: Mapping[str, str], name: str) -> bool:
        """Whether a secret with these tags is that of another replica of ours, which is there."""
        owner = tags.get(ownership.REPLICA_TAG)
        if owner is None or owner == name:
            return False
        try:
            found = survey.instance(self.aws, owner)
        except AccessDenied:
            return False
        return found is not None and found.source is not None and ownership.belongs_to(owner, found.tags)

    def _secrets(self) -> dict[str, str]:
        """Return the secrets that users of the spec have in Secrets Manager, with the users."""
        named = {self.spec.secret_of(name): name for name, user in self.spec.users.items() if user.auth == "password"}
        return {secret: user for secret, user in named.items() if not passwords.is_file(secret)}

    def _update_secret(self, secret: str) -> None:
        user = self._secrets()[secret]
        if (password := self.password(user)) is not None:  # otherwise it went meanwhile, and a new one is made anyway
            self.store_password(user, password)

    def _primary_instance(self) -> Instance:
        if self._primary is None:
            if not self.spec.on_rds:
                raise UsageError("The primary of this spec is no RDS instance.", "Give primary.instance in the spec.")
            self._primary = survey.primary_instance(self.aws, self.spec)
        return self._primary

    def _replica_instance(self) -> Instance | None:
        replica = survey.replica_instance(self.aws, self.spec)
        if replica is None or not is_usable(replica):
            return None
        source = ownership.source_identifier(self.spec)
        if refusal := not_ours(replica, source, Commands(self.aws.region, self.spec.aws.profile)):
            raise NotOurs(f"{refusal.reason}.", refusal.fix)
        return replica
