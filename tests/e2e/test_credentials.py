"""Where passwords come from: the admin's by every way there is, users' by `connect`, and how each of them fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from replica_access.aws.session import Aws
from replica_access.sandbox import lifecycle
from replica_access.spec import Aws as Settings
from tests.cli.nursery import Nursery
from tests.cli.program import Program, Ran
from tests.cli.test_bad_input import assert_refused
from tests.sandbox_fixtures import Sandbox, running_sandbox

pytestmark = pytest.mark.slow

REPLICA, USERS = "prod-db-analytics", ("bi", "ana")
ADMIN = 'admin_secret = "prod-db/master"'
WHO = "SELECT session_user, current_database(), pg_is_in_recovery()"


@dataclass(frozen=True, slots=True)
class Account:
    """A sandbox of its own, since a gate and a password that RDS manages leave it another one."""

    sandbox: Sandbox
    run: Program

    @property
    def secrets(self) -> Any:
        return self.sandbox.client("secretsmanager")

    def declare(self, admin: str = "", *, more: str = "") -> None:
        self.run.spec.write_text(f'version = 1\n[primary]\ninstance = "prod-db"\n{admin}\n{more}', encoding="utf-8")

    @contextmanager
    def secret(self, name: str, **content: Any) -> Iterator[None]:
        self.secrets.create_secret(Name=name, **content)
        try:
            yield
        finally:
            self.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    def psql(self, *arguments: str, **environment: str) -> Ran:
        """`connect` with any psql that is found."""
        return self.run("connect", *arguments, "--", "-XAtc", WHO, **environment)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Account]:
    with running_sandbox(tmp_path_factory.mktemp("credentials") / "sandbox") as sandbox:
        known = lifecycle.environment(sandbox.status.directory)
        directory = tmp_path_factory.mktemp("run")
        yield Account(sandbox, Program(nursery, directory, {**known, "AWS_CONFIG_FILE": str(directory / "none")}))


# --- the admin's -----------------------------------------------------------------------------------------------------


def logs_in(account: Account, **environment: str) -> None:
    ran = account.run("plan", **environment)
    assert (ran.status, ran.out) == (0, "Nothing to do.\n"), ran


def test_from_a_secret_in_the_form_of_rds(account: Account) -> None:
    account.declare(ADMIN)
    logs_in(account)


def test_from_a_secret_that_a_rotation_by_another_user_needs(account: Account) -> None:
    content = {
        "engine": "postgres",
        "username": "master",
        "password": account.sandbox.password,
        "ssl": True,
        "masterarn": "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:other",
        "port": "5432",
    }
    with account.secret("alternating", SecretString=json.dumps(content)):
        account.declare('admin_secret = "alternating"')
        logs_in(account)


def test_from_the_environment(account: Account) -> None:
    account.declare()
    logs_in(account, PGPASSWORD=account.sandbox.password)


def test_from_a_pgpass_file(account: Account) -> None:
    account.declare()
    file = account.run.directory / ".pgpass"  # where libpq looks without being told: HOME is this directory
    file.touch(0o600)
    file.write_text(f"localhost:*:*:master:{account.sandbox.password}\n", encoding="utf-8")
    try:
        logs_in(account)
        logs_in(account, PGPASSFILE=str(file.rename(file.with_name("elsewhere"))))
    finally:
        (account.run.directory / "elsewhere").unlink()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"SecretString": "just a password"}, "not of RDS's form"),
        ({"SecretString": '["a", "list"]'}, "not of RDS's form"),
        ({"SecretString": '{"username": "master"}'}, "not of RDS's form"),
        ({"SecretString": '{"username": "master", "password": 7}'}, "not of RDS's form"),
        ({"SecretBinary": b"\x00\x01"}, "not of RDS's form"),
        ({"SecretString": '{"username": "master", "password": "guessed"}'}, 'authentication failed for user "master"'),
        ({"SecretString": '{"username": "nobody", "password": "guessed"}'}, 'authentication failed for user "nobody"'),
        ({}, "no secret odd in ap-southeast-2"),
    ],
    ids=["text", "list", "no password", "number", "binary", "wrong password", "wrong user", "empty"],
)
def test_a_secret_that_does_not_serve(account: Account, content: dict[str, Any], told: str) -> None:
    account.declare('admin_secret = "odd"')
    with account.secret("odd", **content):
        ran = account.run("plan")
    assert_refused(ran, 1, told, "secret")
    assert "guessed" not in ran.err


def test_a_secret_that_is_not_there(account: Account) -> None:
    account.declare('admin_secret = "nowhere"')
    assert_refused(account.run("plan"), 1, "no secret nowhere in ap-southeast-2", "Correct primary.admin_secret")


def test_a_secret_that_is_going_to_be_deleted(account: Account) -> None:
    account.declare('admin_secret = "leaving"')
    with account.secret("leaving", SecretString='{"username": "master", "password": "x"}'):
        account.secrets.delete_secret(SecretId="leaving", RecoveryWindowInDays=7)
        restore = "aws secretsmanager restore-secret --secret-id leaving --region ap-southeast-2"
        assert_refused(account.run("plan"), 1, "leaving is scheduled for deletion", restore)


def test_a_secret_that_one_may_not_read(account: Account) -> None:
    account.declare(ADMIN)
    with account.sandbox.faults(deny=("secretsmanager:GetSecretValue",)):
        denied = account.run("plan")
    assert_refused(denied, 1, "AWS denied secretsmanager:GetSecretValue on prod-db/master", "Ask for the permission")


def test_no_password_at_all(account: Account) -> None:
    account.declare()
    assert_refused(account.run("plan"), 1, "no password supplied", "admin_secret, PGPASSWORD or the pgpass file")
    assert_refused(account.run("plan", PGPASSWORD="guessed"), 1, "password authentication failed")


# --- users' ----------------------------------------------------------------------------------------------------------

READERS = f"""
[replica]
instance = "{REPLICA}"
deletion_protection = false
[[network.allow]]
cidr = "127.0.0.1/32"
[roles.analytics]
[users.bi]
member_of = ["analytics"]
[users.ana]
member_of = ["analytics"]
auth = "iam"
[[grants]]
to = "analytics"
databases = ["app"]
exclude = ["vault"]
"""


@pytest.fixture(scope="module")
def provisioned(account: Account) -> Account:
    """The account with a replica, a user with a password, and one who logs in by IAM."""
    account.declare(ADMIN, more=READERS)
    assert_refused(account.run("connect", "bi"), 1, "no replica that can be used yet", "replica-access apply")
    applied = account.run("apply", "--yes")
    assert applied.status == 0, applied.out + applied.err
    assert "ana" not in {entry["Name"] for entry in account.secrets.list_secrets()["SecretList"]}
    return account


@pytest.fixture
def declared(provisioned: Account) -> Account:
    provisioned.declare(ADMIN, more=READERS)
    return provisioned


def test_both_users_get_to_the_replica(declared: Account) -> None:
    assert declared.run("plan", "--check").status == 0
    for user in USERS:
        ran = declared.psql(user)
        assert (ran.status, ran.out) == (0, f"{user}|app|t\n"), ran
    verified = declared.run("verify", "-v")
    assert verified.status == 0, verified


def test_what_is_printed_for_one_who_logs_in_by_iam_works_and_says_for_how_long(declared: Account) -> None:
    ran = declared.run("connect", "ana", "--url", "--with-password")
    assert "15 minutes" in ran.err
    with psycopg.connect(ran.out.strip()) as session:
        assert session.execute(WHO).fetchone() == ("ana", "app", True)
    document = declared.run("--format", "json", "connect", "ana", "--with-password").document
    assert (document["auth"], document["password_in"], document["password_valid_s"]) == ("iam", None, 900)
    where = {key: document[key] for key in ("host", "port", "user", "password", "sslmode", "sslrootcert")}
    with psycopg.connect(dbname=document["database"], **where) as session:
        assert session.execute(WHO).fetchone() == ("ana", "app", True)
    pgpass = declared.run.directory / "ana.pgpass"
    pgpass.touch(0o600)
    pgpass.write_text(declared.run("connect", "ana", "--pgpass").out, encoding="utf-8")
    url = declared.run("connect", "ana", "--url").out.strip()
    with psycopg.connect(url, passfile=str(pgpass)) as session:
        assert session.execute(WHO).fetchone() == ("ana", "app", True)


def token(account: Account, instance: str, **credentials: str) -> str:
    """A token for ``ana``, signed as this program does."""
    endpoint = account.sandbox.instance(instance)["Endpoint"]
    environment = {name: value for name, value in account.run.environment.items() if name.startswith("AWS_")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, **credentials}.items():
            patch.setenv(name, value)
        session = Aws.open(Settings(region=account.sandbox.status.region))
        signed = session.database_token(endpoint["Address"], endpoint["Port"], "ana").reveal()
        session.close()
    return signed


def test_iam_lets_nobody_in_on_the_primary(declared: Account) -> None:
    """Neither by a token for it, nor by one that was signed for the replica."""
    for_replica = declared.run("--format", "json", "connect", "ana", "--with-password").document["password"]
    for password in (token(declared, "prod-db"), for_replica):
        with pytest.raises(psycopg.OperationalError, match='user "ana"'):
            declared.sandbox.connect(user="ana", password=password)


def test_a_token_that_is_refused_says_what_it_takes(declared: Account) -> None:
    """Whoever signs may not connect: their key is one that nobody knows."""
    verified = declared.run("verify", AWS_SECRET_ACCESS_KEY="guessed")
    assert verified.status == 3
    assert 'PAM authentication failed for user "ana"' in verified.out
    ran = declared.psql("ana", AWS_SECRET_ACCESS_KEY="guessed")
    assert ran.status == 2  # psql's own
    assert "PAM authentication failed" in ran.err


def test_a_users_secret_that_does_not_serve(declared: Account) -> None:
    known = declared.secrets.get_secret_value(SecretId="replica-access/bi")["SecretString"]
    with declared.sandbox.faults(deny=("secretsmanager:GetSecretValue",)):
        ran = declared.run("connect", "bi", "--env")
    assert_refused(ran, 1, "AWS denied secretsmanager:GetSecretValue on replica-access/bi", "Ask for the permission")
    declared.secrets.put_secret_value(SecretId="replica-access/bi", SecretString="[]")
    try:
        assert_refused(declared.run("connect", "bi", "--env"), 1, "replica-access/bi is not of RDS's form")
    finally:
        declared.secrets.put_secret_value(SecretId="replica-access/bi", SecretString=known)
    declared.secrets.delete_secret(SecretId="replica-access/bi", RecoveryWindowInDays=7)
    try:
        ran = declared.run("connect", "bi", "--env")
        assert_refused(ran, 1, "replica-access/bi is scheduled for deletion", "restore-secret")
    finally:
        declared.secrets.restore_secret(SecretId="replica-access/bi")
    with declared.sandbox.faults(deny=("secretsmanager:*",)):
        assert declared.psql("ana").out == "ana|app|t\n"  # no secret is needed for a token


def test_certificates_that_are_missing_or_others_are_told(declared: Account) -> None:
    bundle = declared.run.directory / "rds-global-bundle.pem"
    assert_refused(
        declared.run("connect", "bi", "--url", PGSSLROOTCERT=""),
        *(2, f"no file of certificates to verify {REPLICA} with"),
        "curl -o rds-global-bundle.pem https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem",
    )
    bundle.write_bytes(declared.sandbox.status.ca_bundle.read_bytes())
    try:
        assert declared.psql("bi", PGSSLROOTCERT="").out == "bi|app|t\n"
        bundle.write_text("<html>404</html>")
        told = "rds-global-bundle.pem holds no certificates in PEM"
        assert_refused(declared.run("plan", PGSSLROOTCERT=""), 1, told, "curl -o")
    finally:
        bundle.unlink()


def test_the_secret_follows_the_replica(declared: Account) -> None:
    """A replica that is deleted and made again has another port here; on RDS, another name may have come between."""
    before = json.loads(declared.secrets.get_secret_value(SecretId="replica-access/bi")["SecretString"])
    declared.sandbox.remove(REPLICA)
    planned = declared.run("plan")
    sentence = f"write the endpoint of {REPLICA} beside the password of bi, in replica-access/bi"
    assert sentence in planned.out
    applied = declared.run("apply", "--yes")
    assert applied.status == 0, applied.out + applied.err
    endpoint = declared.sandbox.instance(REPLICA)["Endpoint"]
    after = json.loads(declared.secrets.get_secret_value(SecretId="replica-access/bi")["SecretString"])
    assert after == {**before, "host": endpoint["Address"], "port": endpoint["Port"]}
    assert after != before
    assert declared.run("plan", "--check").status == 0
    stale = json.dumps({**after, "host": "old.example"})
    declared.secrets.put_secret_value(SecretId="replica-access/bi", SecretString=stale)
    assert sentence in declared.run("plan").out
    assert declared.run("apply", "--yes").status == 0
    again = declared.secrets.get_secret_value(SecretId="replica-access/bi")["SecretString"]
    assert json.loads(again) == after
    assert declared.psql("bi").out == "bi|app|t\n"


# --- the admin's, in ways that leave another primary ------------------------------------------------------------------


def test_the_admin_by_iam(provisioned: Account) -> None:
    sandbox = provisioned.sandbox
    provisioned.declare('auth = "iam"', more=READERS)
    refused = provisioned.run("plan")
    assert_refused(refused, 1, "authentication failed", "The IAM token was refused", "rds_iam", "rds-db:connect")
    sandbox.rds.modify_db_instance(
        DBInstanceIdentifier="prod-db", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True
    )
    sandbox.follow("prod-db")
    with sandbox.connect() as admin:
        admin.execute("GRANT rds_iam TO master")
    assert_refused(provisioned.run("plan", AWS_SECRET_ACCESS_KEY="guessed"), 1, "PAM authentication failed")
    replica = sandbox.instance(REPLICA)["Endpoint"]["Port"]
    ran = provisioned.run("plan", "--check")
    assert ran.status == 0, ran
    verified = provisioned.run("verify")  # the admin asks the replica, too, by a token for that
    assert verified.status == 0, (verified, replica)
    provisioned.declare(ADMIN, more=READERS)
    refused = provisioned.run("plan")
    assert_refused(refused, 1, 'PAM authentication failed for user "master"', 'auth = "iam"')
    token = sandbox.rds.generate_db_auth_token("localhost", sandbox.instance()["Endpoint"]["Port"], "master")
    with sandbox.connect(password=token) as admin:
        admin.execute("REVOKE rds_iam FROM master GRANTED BY master")
    assert provisioned.run("plan", "--check").status == 0


@contextmanager
def signer(account: Account, policy: str) -> Iterator[dict[str, str]]:
    """The environment of an IAM user with this policy and no other."""
    iam = account.sandbox.client("iam")
    iam.create_user(UserName="ana")
    iam.put_user_policy(UserName="ana", PolicyName="connect", PolicyDocument=policy)
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    try:
        yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    finally:
        iam.delete_access_key(UserName="ana", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="ana", PolicyName="connect")
        iam.delete_user(UserName="ana")


def test_the_exported_policy_opens_the_replica_and_not_the_primary(provisioned: Account) -> None:
    """Though the primary takes tokens too, and takes one of hers that is signed by somebody who may."""
    sandbox = provisioned.sandbox
    if not sandbox.instance()["IAMDatabaseAuthenticationEnabled"]:
        sandbox.rds.modify_db_instance(
            DBInstanceIdentifier="prod-db", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True
        )
        sandbox.follow("prod-db")
    provisioned.declare(ADMIN, more=READERS)
    exported = provisioned.run("export", "iam-policy", "--for", "connect", "ana")
    assert exported.status == 0, exported

    def log_in_to_the_primary(**credentials: str) -> None:
        sandbox.connect(user="ana", password=token(provisioned, "prod-db", **credentials)).close()

    with signer(provisioned, exported.out) as ana:
        assert provisioned.psql("ana", **ana).out == "ana|app|t\n"
        with pytest.raises(psycopg.OperationalError, match='PAM authentication failed for user "ana"'):
            log_in_to_the_primary(**ana)
    log_in_to_the_primary()


def test_from_the_secret_that_rds_manages(provisioned: Account) -> None:
    """Last: the master password is another one from here on."""
    sandbox = provisioned.sandbox
    sandbox.remove(REPLICA)
    (provisioned.run.directory / "replica-access.state.json").unlink()  # nothing of the readers shall be planned
    sandbox.rds.modify_db_instance(DBInstanceIdentifier="prod-db", ManageMasterUserPassword=True, ApplyImmediately=True)
    sandbox.settle("prod-db")
    managed = sandbox.instance()["MasterUserSecret"]["SecretArn"]
    provisioned.declare()
    logs_in(provisioned)
    with sandbox.faults(deny=("secretsmanager:GetSecretValue",)):
        assert_refused(provisioned.run("plan"), 1, f"AWS denied secretsmanager:GetSecretValue on {managed}")
    assert_refused(provisioned.run("plan", PGPASSWORD="guessed"), 1, "password authentication failed")
    provisioned.declare(f'admin_secret = "{managed}"')
    logs_in(provisioned)
