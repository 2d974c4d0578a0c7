"""IAM authentication as RDS has it: tokens where it is on, no password for members of rds_iam anywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg
import pytest

from replica_access.sandbox import iam_tokens
from tests.sandbox_fixtures import Sandbox, running_sandbox

ANALYST, PASSWORD = "analyst", "a-password-of-their-own"
REFUSED = 'PAM authentication failed for user "analyst"'


@dataclass(frozen=True, slots=True)
class Account:
    """A sandbox whose primary takes no tokens, with a replica that does."""

    sandbox: Sandbox
    replica: str

    def token(self, instance: str, user: str = ANALYST, **credentials: str) -> str:
        known = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox", **credentials}
        client: Any = boto3.Session(**known).client("rds", region_name=self.sandbox.status.region)
        endpoint = self.sandbox.instance(instance)["Endpoint"]
        token: str = client.generate_db_auth_token(endpoint["Address"], endpoint["Port"], user)
        client.close()
        return token

    def log_in(self, instance: str, password: str, user: str = ANALYST, **parameters: Any) -> tuple[Any, ...]:
        """Who that is, by TLS or not; raises what the server says."""
        with self.sandbox.connect(instance, user=user, password=password, **parameters) as session:
            found = session.execute(
                "SELECT session_user, ssl, pg_is_in_recovery() FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            ).fetchone()
        assert found is not None
        return found

    def refusal(self, instance: str, password: str, **parameters: Any) -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            self.log_in(instance, password, **parameters)
        return str(caught.value)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with running_sandbox(tmp_path_factory.mktemp("iam") / "sandbox", databases=(), empty=True) as sandbox:
        with sandbox.connect() as admin:
            admin.execute(f"CREATE ROLE {ANALYST} LOGIN PASSWORD '{PASSWORD}'")
            admin.execute(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
            admin.execute("CREATE ROLE readers NOLOGIN")
            admin.execute("GRANT rds_iam TO readers")
            admin.execute(f"GRANT readers TO {ANALYST}")
        group = sandbox.make_group("127.0.0.1/32")
        replica = sandbox.make_replica(
            VpcSecurityGroupIds=[group], PubliclyAccessible=True, EnableIAMDatabaseAuthentication=True
        )
        yield Account(sandbox, replica)


def test_a_token_lets_a_member_in_on_the_replica_and_not_on_the_primary(account: Account) -> None:
    assert account.log_in(account.replica, account.token(account.replica)) == (ANALYST, True, True)
    assert "rejects connection" in account.refusal("prod-db", account.token("prod-db"))


def test_no_member_gets_in_by_password(account: Account) -> None:
    assert REFUSED in account.refusal(account.replica, PASSWORD)
    assert "rejects connection" in account.refusal("prod-db", PASSWORD)


def test_everybody_else_gets_in_by_password_through_the_gate_too(account: Account) -> None:
    strict = {"channel_binding": "require"}  # the gate has the server's certificate
    assert account.log_in(account.replica, PASSWORD, user="plain", **strict) == ("plain", True, True)
    master = account.sandbox.password
    assert account.log_in(account.replica, master, user="master") == ("master", True, True)
    assert account.log_in("prod-db", master, user="master") == ("master", True, False)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        account.log_in(account.replica, "wrong", user="plain")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        account.log_in(account.replica, account.token(account.replica, "plain"), user="plain")


def test_a_token_goes_by_tls_only(account: Account) -> None:
    assert "no encryption" in account.refusal(account.replica, account.token(account.replica), sslmode="disable")


@pytest.mark.parametrize(
    "other",
    [
        lambda account: account.token("prod-db"),
        lambda account: account.token(account.replica, "plain"),
        lambda account: account.token(account.replica).replace("DBUser=analyst", "DBUser=master"),
        lambda account: account.token(account.replica, aws_secret_access_key="guessed"),
        lambda account: account.token(account.replica, aws_access_key_id="AKIANOBODYKNOWSTHIS0"),
        lambda account: account.token(account.replica)[:-1],
        lambda _: "rubbish",
        lambda _: "",
    ],
    ids=["instance", "user", "forged", "secret", "key", "cut", "rubbish", "empty"],
)
def test_another_token_does_not(account: Account, other: Callable[[Account], str]) -> None:
    token = other(account)
    assert (REFUSED if token else "no password supplied") in account.refusal(account.replica, token)


def test_a_token_is_good_for_fifteen_minutes(account: Account) -> None:
    found = account.sandbox.instance(account.replica)
    target = iam_tokens.Target(
        account.sandbox.status.account,
        account.sandbox.status.region,
        found["DbiResourceId"],
        found["Endpoint"]["Address"],
        found["Endpoint"]["Port"],
        ANALYST,
    )
    token, now = account.token(account.replica), datetime.now(UTC)
    assert iam_tokens.why_refused(token, target, now) is None
    assert iam_tokens.why_refused(token, target, now + timedelta(minutes=14)) is None
    assert iam_tokens.why_refused(token, target, now + timedelta(minutes=16)) == "it has expired"
    longer = token.replace("X-Amz-Expires=900", "X-Amz-Expires=90000")
    assert iam_tokens.why_refused(longer, target, now + timedelta(minutes=16)) == "it has expired"
    assert iam_tokens.why_refused(longer, target, now) == "its signature is wrong"


@contextmanager
def iam_user(account: Account, *resources: str) -> Iterator[dict[str, str]]:
    """The credentials of an IAM user who may connect to these."""
    iam = account.sandbox.client("iam")
    iam.create_user(UserName="ana")
    if resources:
        statement = {"Effect": "Allow", "Action": "rds-db:connect", "Resource": list(resources)}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="ana", PolicyName="connect", PolicyDocument=policy)
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    try:
        yield {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    finally:
        iam.delete_access_key(UserName="ana", AccessKeyId=key["AccessKeyId"])
        if resources:
            iam.delete_user_policy(UserName="ana", PolicyName="connect")
        iam.delete_user(UserName="ana")


def test_who_signs_needs_the_permission_for_that_instance_and_that_user(account: Account) -> None:
    status = account.sandbox.status
    own = account.sandbox.instance(account.replica)["DbiResourceId"]
    others = account.sandbox.instance()["DbiResourceId"]
    prefix = f"arn:aws:rds-db:{status.region}:{status.account}:dbuser"
    with iam_user(account, f"{prefix}:{own}/{ANALYST}") as ana:
        assert account.log_in(account.replica, account.token(account.replica, **ana))[0] == ANALYST
    for resources in ([], [f"{prefix}:{others}/{ANALYST}"], [f"{prefix}:{own}/plain"]):
        with iam_user(account, *resources) as ana:
            assert REFUSED in account.refusal(account.replica, account.token(account.replica, **ana))


def test_it_is_switched_on_and_off(account: Account) -> None:
    sandbox = account.sandbox
    with sandbox.replica(PubliclyAccessible=True) as name:
        sandbox.rds.modify_db_instance(
            DBInstanceIdentifier=name, VpcSecurityGroupIds=[sandbox.make_group("127.0.0.1/32")]
        )
        sandbox.settle(name)
        before = sandbox.instance(name)["Endpoint"]
        assert "rejects connection" in account.refusal(name, account.token(name))
        sandbox.rds.modify_db_instance(
            DBInstanceIdentifier=name, EnableIAMDatabaseAuthentication=True, ApplyImmediately=True
        )
        assert "configuring-iam-database-auth" in sandbox.follow(name)
        assert sandbox.instance(name)["Endpoint"] == before
        assert account.log_in(name, account.token(name))[0] == ANALYST
        assert account.log_in(name, PASSWORD, user="plain")[0] == "plain"
        sandbox.rds.reboot_db_instance(DBInstanceIdentifier=name)
        sandbox.follow(name)
        assert account.log_in(name, account.token(name))[0] == ANALYST
        sandbox.rds.modify_db_instance(
            DBInstanceIdentifier=name, EnableIAMDatabaseAuthentication=False, ApplyImmediately=True
        )
        sandbox.settle(name)
        assert REFUSED in account.refusal(name, account.token(name))
        assert account.log_in(name, PASSWORD, user="plain")[0] == "plain"


def test_on_the_primary_for_the_master_user_and_replicas_go_on(account: Account) -> None:
    sandbox, password = account.sandbox, account.sandbox.password
    sandbox.rds.modify_db_instance(
        DBInstanceIdentifier="prod-db", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True
    )
    sandbox.follow("prod-db")
    assert account.log_in("prod-db", account.token("prod-db"))[0] == ANALYST
    assert account.log_in("prod-db", password, user="master")[0] == "master"
    with sandbox.connect() as admin:
        admin.execute("GRANT rds_iam TO master")
        admin.execute("CREATE TABLE made_behind_the_gate ()")
    try:
        assert account.log_in("prod-db", account.token("prod-db", "master"), user="master")[0] == "master"
        with pytest.raises(psycopg.OperationalError, match='PAM authentication failed for user "master"'):
            account.log_in("prod-db", password, user="master")
        replayed = "SELECT count(*) FROM pg_class WHERE relname = 'made_behind_the_gate'"
        with sandbox.connect(account.replica, user="plain", password=PASSWORD) as session:
            for _ in range(100):
                if session.execute(replayed).fetchone() == (1,):
                    break
                session.execute("SELECT pg_sleep(0.1)")
            else:
                pytest.fail("the replica does not stream from a primary behind a gate")
    finally:
        with sandbox.connect(password=account.token("prod-db", "master")) as admin:
            admin.execute("REVOKE rds_iam FROM master GRANTED BY master")
    assert account.log_in("prod-db", password, user="master")[0] == "master"


def test_a_query_is_cancelled_through_the_gate(account: Account) -> None:
    with account.sandbox.connect(account.replica, user=ANALYST, password=account.token(account.replica)) as session:
        session.execute("SET statement_timeout = '30s'")
        timer = threading.Timer(0.5, session.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            session.execute("SELECT pg_sleep(20)")
        timer.join()
