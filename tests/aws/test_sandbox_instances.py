"""An RDS instance of the sandbox is a PostgreSQL server, and is described as RDS describes one."""

from __future__ import annotations

import json
from functools import partial

import psycopg
import pytest

from replica_access.sandbox import process
from tests.sandbox_fixtures import Sandbox, refusal


def caught_up(primary: psycopg.Connection[tuple[object, ...]], replica: psycopg.Connection[tuple[object, ...]]) -> None:
    """Wait until the replica has replayed what the primary has written by now."""
    lsn = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    for _ in process.polls(10):
        replayed = replica.execute("SELECT pg_last_wal_replay_lsn() >= %s", lsn).fetchone()
        if replayed == (True,):
            return
    raise AssertionError(f"the replica has not replayed {lsn}")


def test_the_primary_is_as_a_production_primary_is(sandbox: Sandbox) -> None:
    primary = sandbox.instance()
    assert primary["Engine"] == "postgres"
    assert primary["BackupRetentionPeriod"] == 7
    assert primary["DBInstanceClass"] == "db.t4g.medium"
    assert primary["MasterUsername"] == "master"
    assert primary["Endpoint"]["Address"] == "localhost"
    assert primary["DBSubnetGroup"]["DBSubnetGroupName"] == "sandbox-public"
    assert primary["DBParameterGroups"] == [
        {
            "DBParameterGroupName": f"default.postgres{primary['EngineVersion'].split('.')[0]}",
            "ParameterApplyStatus": "in-sync",
        }
    ]
    assert primary["PendingModifiedValues"] == {}
    assert "StatusInfos" not in primary
    assert "ReadReplicaSourceDBInstanceIdentifier" not in primary


def test_the_secret_of_the_master_user_has_the_shape_of_rds(sandbox: Sandbox) -> None:
    value = sandbox.client("secretsmanager").get_secret_value(SecretId="prod-db/master")["SecretString"]
    secret = json.loads(value)
    endpoint = sandbox.instance()["Endpoint"]
    assert {key: value for key, value in secret.items() if key != "password"} == {
        "engine": "postgres",
        "host": "localhost",
        "port": endpoint["Port"],
        "username": "master",
        "dbname": "postgres",
        "dbInstanceIdentifier": "prod-db",
    }
    with sandbox.connect(password=secret["password"]) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)


def test_the_sample_is_there(sandbox: Sandbox) -> None:
    with sandbox.connect(dbname="app") as connection:
        schemas = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'").fetchone()
    assert schemas is not None
    assert int(str(schemas[0])) > 3


def test_nobody_gets_in_without_tls(sandbox: Sandbox) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba.conf entry .* no encryption"):
        sandbox.connect(sslmode="disable")


def test_the_life_of_a_replica(sandbox: Sandbox, group: str) -> None:
    name = sandbox.name("Passing")
    answer = sandbox.rds.create_db_instance_read_replica(
        DBInstanceIdentifier=name,
        SourceDBInstanceIdentifier="prod-db",
        DBInstanceClass="db.r6g.large",
        VpcSecurityGroupIds=[group],
        EnableCloudwatchLogsExports=["postgresql"],
        EnableIAMDatabaseAuthentication=True,
        Tags=[{"Key": "team", "Value": "data"}],
    )["DBInstance"]
    assert answer["DBInstanceStatus"] == "creating"
    for early in ("Endpoint", "StatusInfos", "InstanceCreateTime"):
        assert early not in answer
    name = answer["DBInstanceIdentifier"]
    assert name == name.lower()

    assert sandbox.follow(name) == ["creating", "modifying", "available"]
    replica, primary = sandbox.instance(name), sandbox.instance()
    assert replica["ReadReplicaSourceDBInstanceIdentifier"] == "prod-db"
    assert name in primary["ReadReplicaDBInstanceIdentifiers"]
    assert replica["StatusInfos"] == [{"StatusType": "read replication", "Normal": True, "Status": "replicating"}]
    assert replica["DbiResourceId"] != primary["DbiResourceId"]
    assert replica["Endpoint"]["Port"] != primary["Endpoint"]["Port"]
    assert replica["DBInstanceClass"] == "db.r6g.large"
    assert replica["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert replica["IAMDatabaseAuthenticationEnabled"] is True
    assert replica["TagList"] == [{"Key": "team", "Value": "data"}]
    for inherited in ("EngineVersion", "AllocatedStorage", "StorageType", "KmsKeyId", "CACertificateIdentifier"):
        assert replica[inherited] == primary[inherited]
    # what a replica does not have from its source
    assert (primary["DeletionProtection"], replica["DeletionProtection"]) == (True, False)
    assert (primary["BackupRetentionPeriod"], replica["BackupRetentionPeriod"]) == (7, 0)
    assert primary["EnabledCloudwatchLogsExports"] == []

    sandbox.rds.promote_read_replica(DBInstanceIdentifier=name)
    sandbox.follow(name, "modifying")
    promoted = sandbox.settle(name)
    assert promoted["BackupRetentionPeriod"] == 1
    for replicas_only in ("ReadReplicaSourceDBInstanceIdentifier", "StatusInfos"):
        assert replicas_only not in promoted
    assert name not in sandbox.instance()["ReadReplicaDBInstanceIdentifiers"]
    with sandbox.connect(name) as connection:
        connection.execute("CREATE TABLE mine ()")

    server = sandbox.status.directory / "instances" / name
    pid = process.running(server / "data")
    assert pid is not None
    sandbox.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    assert refusal(lambda: sandbox.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)) == (
        "InvalidDBInstanceState",
        f"Instance {name} is already being deleted.",
    )
    sandbox.gone(name)
    assert not process.is_alive(pid)
    assert not server.exists()


def test_a_replica_streams(sandbox: Sandbox, replica: str) -> None:
    with sandbox.connect() as primary, sandbox.connect(replica) as standby:
        primary.execute("CREATE TABLE written_on_the_primary AS SELECT 42 AS answer")
        try:
            caught_up(primary, standby)
            assert standby.execute("SELECT answer FROM written_on_the_primary").fetchone() == (42,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                standby.execute("DELETE FROM written_on_the_primary")
        finally:
            primary.execute("DROP TABLE written_on_the_primary")


def test_the_source_cannot_lose_its_backups(sandbox: Sandbox, replica: str) -> None:
    code, message = refusal(
        lambda: sandbox.rds.modify_db_instance(DBInstanceIdentifier="prod-db", BackupRetentionPeriod=0)
    )
    assert code == "InvalidParameterCombination"
    assert "source of read replicas" in message


def test_the_password_of_a_replica_is_its_sources(sandbox: Sandbox, replica: str) -> None:
    assert refusal(
        lambda: sandbox.rds.modify_db_instance(DBInstanceIdentifier=replica, MasterUserPassword="other-password")
    ) == (
        "InvalidParameterCombination",
        (
            "Cannot change master user password on an RDS postgres Read Replica because it uses physical replication "
            "and therefore cannot differ from its parent."
        ),
    )


@pytest.mark.parametrize(
    "call", [{}, {"FinalDBSnapshotIdentifier": "last"}, {"FinalDBSnapshotIdentifier": "x", "SkipFinalSnapshot": True}]
)
def test_a_replica_is_deleted_without_a_snapshot_and_says_so(
    sandbox: Sandbox, replica: str, call: dict[str, object]
) -> None:
    code, message = refusal(lambda: sandbox.rds.delete_db_instance(DBInstanceIdentifier=replica, **call))
    assert code == "InvalidParameterCombination"
    assert "FinalDBSnapshotIdentifier" in message
    assert replica in sandbox.names()


def test_a_parameter_group_takes_effect_with_the_reboot(sandbox: Sandbox, replica: str) -> None:
    name, family = sandbox.name("parameters"), "postgres" + sandbox.instance()["EngineVersion"].split(".")[0]
    sandbox.rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily=family, Description="for a replica"
    )
    set_parameters(sandbox, name, hot_standby_feedback="1", max_standby_streaming_delay="900000")
    sandbox.rds.modify_db_instance(DBInstanceIdentifier=replica, DBParameterGroupName=name)
    assert "applying" in str(sandbox.instance(replica)["DBParameterGroups"])
    settled = sandbox.settle(replica)
    assert settled["DBParameterGroups"] == [{"DBParameterGroupName": name, "ParameterApplyStatus": "pending-reboot"}]
    assert setting(sandbox, replica, "hot_standby_feedback") == "off"

    sandbox.rds.reboot_db_instance(DBInstanceIdentifier=replica)
    assert sandbox.follow(replica) == ["rebooting", "available"]
    assert sandbox.instance(replica)["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"
    assert setting(sandbox, replica, "hot_standby_feedback") == "on"
    assert setting(sandbox, replica, "max_standby_streaming_delay") == "15min"
    assert setting(sandbox, "prod-db", "hot_standby_feedback") == "off"

    # a dynamic parameter of a group that is in use follows at once, a static one waits, a wrong one is refused
    set_parameters(sandbox, name, max_standby_streaming_delay="600000")
    assert setting(sandbox, replica, "max_standby_streaming_delay") == "10min"
    code, _ = refusal(lambda: set_parameters(sandbox, name, max_standby_streaming_delay="long"))
    assert code == "InvalidParameterValue"
    assert setting(sandbox, replica, "max_standby_streaming_delay") == "10min"
    set_parameters(sandbox, name, max_connections="150")
    assert sandbox.instance(replica)["DBParameterGroups"][0]["ParameterApplyStatus"] == "pending-reboot"

    # a replica cannot start with fewer connections than its source
    set_parameters(sandbox, name, max_connections="50")
    sandbox.rds.reboot_db_instance(DBInstanceIdentifier=replica)
    assert sandbox.follow(replica, "incompatible-parameters") == ["rebooting", "incompatible-parameters"]
    set_parameters(sandbox, name, max_connections="150")
    sandbox.rds.reboot_db_instance(DBInstanceIdentifier=replica)
    assert sandbox.follow(replica) == ["rebooting", "available"]
    assert setting(sandbox, replica, "max_connections") == "150"
    delete = refusal(lambda: sandbox.rds.delete_db_parameter_group(DBParameterGroupName=name))
    assert delete[0] == "InvalidDBParameterGroupState"


def set_parameters(sandbox: Sandbox, group: str, **values: str) -> None:
    sandbox.rds.modify_db_parameter_group(
        DBParameterGroupName=group,
        Parameters=[
            {
                "ParameterName": name,
                "ParameterValue": value,
                "ApplyMethod": "pending-reboot" if name == "max_connections" else "immediate",
            }
            for name, value in values.items()
        ],
    )


def setting(sandbox: Sandbox, instance: str, name: str) -> str:
    with sandbox.connect(instance) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_changes_wait_for_the_maintenance_window_or_are_applied_at_once(sandbox: Sandbox, replica: str) -> None:
    answer = sandbox.rds.modify_db_instance(DBInstanceIdentifier=replica, DBInstanceClass="db.m6g.large")["DBInstance"]
    assert answer["PendingModifiedValues"] == {"DBInstanceClass": "db.m6g.large"}
    assert answer["DBInstanceClass"] == "db.t4g.medium"

    answer = sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=replica, AllocatedStorage=40, ApplyImmediately=True, DeletionProtection=True
    )["DBInstance"]
    # RDS answers before it starts: available, with the changes still to come
    assert answer["DBInstanceStatus"] == "available"
    assert answer["PendingModifiedValues"] == {"DBInstanceClass": "db.m6g.large", "AllocatedStorage": 40}
    assert answer["DeletionProtection"] is True
    sandbox.follow(replica, "modifying")
    settled = sandbox.settle(replica)
    assert (settled["DBInstanceClass"], settled["AllocatedStorage"]) == ("db.m6g.large", 40)
    assert sandbox.instance()["AllocatedStorage"] == 20


def test_a_new_master_password_is_in_force_when_the_call_returns(sandbox: Sandbox) -> None:
    former = sandbox.password
    sandbox.rds.modify_db_instance(DBInstanceIdentifier="prod-db", MasterUserPassword="another-password")
    try:
        assert sandbox.instance()["PendingModifiedValues"] == {"MasterUserPassword": "****"}
        sandbox.connect(password="another-password").close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            sandbox.connect(password=former)
        sandbox.settle("prod-db")
    finally:
        sandbox.rds.modify_db_instance(DBInstanceIdentifier="prod-db", MasterUserPassword=former)
        sandbox.settle("prod-db")


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox, group: str) -> str:
    """A primary of our own; a test may delete it."""
    name = sandbox.name("shop")
    sandbox.rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="boss",
        MasterUserPassword="correct-horse",
        DBName="shop",
        DBSubnetGroupName="sandbox-private",
        VpcSecurityGroupIds=[group],
        Port=sandbox.instance()["Endpoint"]["Port"],
        BackupRetentionPeriod=1,
    )
    assert sandbox.follow(name) == ["creating", "backing-up", "available"]
    return name


def test_a_stopped_instance_starts_again(sandbox: Sandbox, shop: str) -> None:
    boss = {"user": "boss", "password": "correct-horse", "dbname": "shop"}
    sandbox.rds.stop_db_instance(DBInstanceIdentifier=shop)
    assert sandbox.follow(shop, "stopped") == ["stopping", "stopped"]
    with pytest.raises(psycopg.OperationalError, match="refused"):
        sandbox.connect(shop, **boss)
    sandbox.rds.start_db_instance(DBInstanceIdentifier=shop)
    assert sandbox.follow(shop) == ["starting", "available"]
    sandbox.connect(shop, **boss).close()
    code, _ = refusal(lambda: sandbox.rds.start_db_instance(DBInstanceIdentifier=shop))
    assert code == "InvalidDBInstanceState"


def test_what_replicates_cannot_be_stopped(sandbox: Sandbox, replica: str) -> None:
    for name in (replica, "prod-db"):
        code, _ = refusal(partial(sandbox.rds.stop_db_instance, DBInstanceIdentifier=name))
        assert code == "InvalidDBInstanceState"


def test_deleting_a_source_promotes_its_replicas(sandbox: Sandbox, shop: str) -> None:
    source, replica = shop, sandbox.name("orphan")
    arn = sandbox.instance(source)["DBInstanceArn"]
    sandbox.rds.create_db_instance_read_replica(
        DBInstanceIdentifier=replica, SourceDBInstanceIdentifier=arn, DBSubnetGroupName="sandbox-public"
    )
    sandbox.follow(replica)
    assert sandbox.instance(replica)["DBSubnetGroup"]["DBSubnetGroupName"] == "sandbox-public"
    assert sandbox.instance(replica)["ReadReplicaSourceDBInstanceIdentifier"] == source

    sandbox.remove(source)
    assert "ReadReplicaSourceDBInstanceIdentifier" not in sandbox.settle(replica)


def test_instances_are_found_by_arn_and_filter(sandbox: Sandbox) -> None:
    arn = sandbox.instance()["DBInstanceArn"]
    assert sandbox.instance(arn)["DBInstanceIdentifier"] == "prod-db"
    found = sandbox.rds.describe_db_instances(Filters=[{"Name": "db-instance-id", "Values": ["prod-db"]}])
    assert [instance["DBInstanceArn"] for instance in found["DBInstances"]] == [arn]


def test_what_a_preflight_asks_is_answered(sandbox: Sandbox) -> None:
    version = sandbox.instance()["EngineVersion"]
    versions = sandbox.rds.describe_db_engine_versions(Engine="postgres", EngineVersion=version)["DBEngineVersions"]
    assert [found["DBParameterGroupFamily"] for found in versions] == [f"postgres{version.split('.')[0]}"]
    for wanted, orderable in (("db.r6g.large", True), ("db.x9.huge", False)):
        options = sandbox.rds.describe_orderable_db_instance_options(
            Engine="postgres", EngineVersion=version, DBInstanceClass=wanted
        )["OrderableDBInstanceOptions"]
        assert bool(options) is orderable
    assert sandbox.rds.describe_certificates()["DefaultCertificateForNewLaunches"] == "rds-ca-rsa2048-g1"
    assert sandbox.rds.describe_pending_maintenance_actions()["PendingMaintenanceActions"] == []
    quotas = sandbox.rds.describe_account_attributes()["AccountQuotas"]
    assert {quota["AccountQuotaName"]: quota["Max"] for quota in quotas}["DBInstances"] == 40
    assert sandbox.client("sts").get_caller_identity()["Account"] == "123456789012"
