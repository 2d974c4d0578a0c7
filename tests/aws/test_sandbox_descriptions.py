"""What RDS tells of instances beside their description: events, logs, certificates, what can be ordered, clusters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.sandbox_fixtures import Sandbox, refusal

# --- events


def messages(sandbox: Sandbox, name: str, **call: Any) -> list[str]:
    found = sandbox.rds.describe_events(SourceIdentifier=name, SourceType="db-instance", **call)["Events"]
    assert [event["Date"] for event in found] == sorted(event["Date"] for event in found)
    assert {event["SourceIdentifier"] for event in found} <= {name}
    return [event["Message"] for event in found]


def test_the_life_of_a_replica_can_be_read_in_its_events(sandbox: Sandbox) -> None:
    with sandbox.replica() as name:
        assert messages(sandbox, name) == ["DB instance created", "Replication for the Read Replica resumed"]
        sandbox.rds.modify_db_instance(DBInstanceIdentifier=name, DBInstanceClass="db.r6g.large", ApplyImmediately=True)
        sandbox.settle(name)
        sandbox.rds.reboot_db_instance(DBInstanceIdentifier=name)
        sandbox.follow(name)
        assert messages(sandbox, name)[2:] == [
            "Finished applying modification to DB instance class",
            "DB instance shutdown",
            "DB instance restarted",
        ]
        assert messages(sandbox, name, EventCategories=["availability"]) == [
            "DB instance shutdown",
            "DB instance restarted",
        ]
    assert messages(sandbox, name)[-1] == "DB instance deleted"
    assert "Finished DB instance backup" in messages(sandbox, "prod-db")


def test_events_are_asked_for_by_source_and_time(sandbox: Sandbox) -> None:
    ask = sandbox.rds.describe_events
    assert refusal(partial(ask, SourceIdentifier="prod-db"))[0] == "InvalidParameterCombination"
    assert refusal(partial(ask, Duration=20161))[0] == "InvalidParameterValue"
    [oldest, *_] = ask(SourceIdentifier="prod-db", SourceType="db-instance", Duration=60)["Events"]
    later = ask(SourceIdentifier="prod-db", SourceType="db-instance", StartTime=oldest["Date"].replace(year=2999))
    assert later["Events"] == []


# --- logs


def test_the_log_is_what_the_server_logged(sandbox: Sandbox) -> None:
    mark = f"mark-{time.time_ns()}"
    with sandbox.connect() as connection:
        connection.execute(f"DO $$ BEGIN RAISE WARNING '{mark}'; END $$")
    before = time.time() * 1000
    [file] = sandbox.rds.describe_db_log_files(DBInstanceIdentifier="prod-db")["DescribeDBLogFiles"]
    assert file["LogFileName"] == "error/postgresql.log"
    assert abs(file["LastWritten"] - before) < 600_000  # milliseconds
    log = sandbox.status.directory / "instances" / "prod-db" / "postgres.log"
    assert 0 < file["Size"] <= log.stat().st_size

    last = portion(sandbox, NumberOfLines=20)
    assert mark in last["LogFileData"]
    assert last["AdditionalDataPending"] is False
    assert portion(sandbox, Marker=last["Marker"]).get("LogFileData", "").count(mark) == 0

    read, marker, pending = "", "0", True
    while pending:
        part = portion(sandbox, Marker=marker, NumberOfLines=7)
        read, marker, pending = read + part["LogFileData"], part["Marker"], part["AdditionalDataPending"]
        assert part["LogFileData"].count("\n") <= 7
    assert log.read_text(encoding="utf-8").startswith(read)
    assert mark in read


def portion(sandbox: Sandbox, **call: Any) -> dict[str, Any]:
    given = {"DBInstanceIdentifier": "prod-db", "LogFileName": "error/postgresql.log", **call}
    return dict(sandbox.rds.download_db_log_file_portion(**given))


def test_logs_can_be_chosen_and_missing_ones_are_told(sandbox: Sandbox) -> None:
    files = partial(sandbox.rds.describe_db_log_files, DBInstanceIdentifier="prod-db")
    assert files(FilenameContains="upgrade")["DescribeDBLogFiles"] == []
    assert files(FileLastWritten=int((time.time() + 60) * 1000))["DescribeDBLogFiles"] == []
    assert len(files(FileLastWritten=0, FileSize=1)["DescribeDBLogFiles"]) == 1
    assert refusal(partial(portion, sandbox, LogFileName="error/other.log")) == (
        "DBLogFileNotFoundFault",
        "DBLog File: error/other.log, is not found on the DB instance",
    )
    assert refusal(partial(portion, sandbox, DBInstanceIdentifier="nowhere"))[0] == "DBInstanceNotFound"
    assert refusal(partial(portion, sandbox, Marker="last"))[0] == "InvalidParameterValue"


# --- what there is to have


def test_only_what_can_be_ordered_can_be_had(sandbox: Sandbox) -> None:
    version = sandbox.instance()["EngineVersion"]
    ask = partial(sandbox.rds.describe_orderable_db_instance_options, Engine="postgres", EngineVersion=version)
    [option] = ask(DBInstanceClass="db.r7g.4xlarge", Vpc=True)["OrderableDBInstanceOptions"]
    assert option["SupportsPerformanceInsights"] is True
    for nothing in ({"Vpc": False}, {"LicenseModel": "bring-your-own-license"}, {"EngineVersion": "9.3"}):
        assert ask(**nothing)["OrderableDBInstanceOptions"] == []
    pages = sandbox.rds.get_paginator("describe_orderable_db_instance_options").paginate(
        Engine="postgres", PaginationConfig={"PageSize": 20}
    )
    classes = [option["DBInstanceClass"] for page in pages for option in page["OrderableDBInstanceOptions"]]
    assert len(classes) == len(set(classes)) > 40

    code, message = refusal(partial(make, sandbox, DBInstanceClass="db.t1.micro"))
    assert code == "InvalidParameterCombination"
    assert f"DBInstanceClass=db.t1.micro, Engine=postgres, EngineVersion={version}" in message


def make(sandbox: Sandbox, **call: Any) -> None:
    sandbox.rds.create_db_instance_read_replica(
        **{"DBInstanceIdentifier": "never", "SourceDBInstanceIdentifier": "prod-db", **call}
    )


def modify(sandbox: Sandbox, **call: Any) -> None:
    sandbox.rds.modify_db_instance(DBInstanceIdentifier="prod-db", **call)


ROLE = "arn:aws:iam::123456789012:role/monitoring"


@pytest.mark.parametrize("change", [make, modify])
@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ({"CACertificateIdentifier": "rds-ca-2019"}, "CertificateNotFound", "rds-ca-2019"),
        ({"MonitoringInterval": 60}, "InvalidParameterCombination", "A MonitoringRoleARN value is required"),
        ({"MonitoringRoleArn": ROLE}, "InvalidParameterCombination", "a MonitoringInterval value other than 0"),
        ({"MonitoringInterval": 7, "MonitoringRoleArn": ROLE}, "InvalidParameterValue", "interval: 7"),
        ({"MonitoringInterval": 5, "MonitoringRoleArn": "monitoring"}, "InvalidParameterValue", "ENHANCED_MONITORING"),
    ],
)
def test_what_does_not_exist_cannot_be_had(
    sandbox: Sandbox, change: Any, call: dict[str, Any], code: str, words: str
) -> None:
    found, message = refusal(partial(change, sandbox, **call))
    assert found == code
    assert words in message


def test_logs_that_postgres_does_not_write_cannot_be_exported(sandbox: Sandbox) -> None:
    version = sandbox.instance()["EngineVersion"]
    said = f"You cannot use the log types 'audit' with engine version postgres {version}."
    for call in (
        partial(make, sandbox, EnableCloudwatchLogsExports=["postgresql", "audit"]),
        partial(modify, sandbox, CloudwatchLogsExportConfiguration={"EnableLogTypes": ["audit"]}),
    ):
        code, message = refusal(call)
        assert code == "InvalidParameterCombination"
        assert message.startswith(said)


def test_the_certificate_authority_and_monitoring_can_be_changed(sandbox: Sandbox, replica: str) -> None:
    former = sandbox.instance(replica)["CACertificateIdentifier"]
    [version] = sandbox.rds.describe_db_engine_versions(Engine="postgres")["DBEngineVersions"]
    assert version["SupportsCertificateRotationWithoutRestart"] is True
    assert former in version["SupportedCACertificateIdentifiers"]
    sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=replica, CACertificateIdentifier="rds-ca-rsa4096-g1",
        MonitoringInterval=30, MonitoringRoleArn=ROLE, ApplyImmediately=True,
    )  # fmt: skip
    assert sandbox.instance(replica)["PendingModifiedValues"]["CACertificateIdentifier"] == "rds-ca-rsa4096-g1"
    settled = sandbox.settle(replica)
    assert settled["CACertificateIdentifier"] == "rds-ca-rsa4096-g1"
    assert settled["CertificateDetails"]["CAIdentifier"] == "rds-ca-rsa4096-g1"
    assert (settled["MonitoringInterval"], settled["MonitoringRoleArn"]) == (30, ROLE)
    sandbox.rds.modify_db_instance(
        DBInstanceIdentifier=replica, CACertificateIdentifier=former, MonitoringInterval=0, ApplyImmediately=True
    )
    assert sandbox.settle(replica)["CACertificateIdentifier"] == former


# --- clusters


@pytest.fixture
def aurora(sandbox: Sandbox) -> Iterator[str]:
    """An Aurora cluster with one member, ``NAME-writer``."""
    name = sandbox.name("aurora")
    sandbox.rds.create_db_cluster(
        DBClusterIdentifier=name, Engine="aurora-postgresql", MasterUsername="boss",
        MasterUserPassword="correct-horse", DBSubnetGroupName="sandbox-private",
    )  # fmt: skip
    sandbox.rds.create_db_instance(
        DBInstanceIdentifier=f"{name}-writer", DBClusterIdentifier=name, Engine="aurora-postgresql",
        DBInstanceClass="db.r6g.large",
    )  # fmt: skip
    yield name
    sandbox.rds.delete_db_instance(DBInstanceIdentifier=f"{name}-writer", SkipFinalSnapshot=True)
    sandbox.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_a_member_of_aurora_is_described_and_cannot_have_a_replica(sandbox: Sandbox, aurora: str) -> None:
    member = sandbox.instance(f"{aurora}-writer")
    assert (member["DBClusterIdentifier"], member["Engine"]) == (aurora, "aurora-postgresql")
    assert member["DBInstanceStatus"] == "available"
    assert member["DBSubnetGroup"]["DBSubnetGroupName"] == "sandbox-private"
    assert member["DbiResourceId"] != sandbox.instance()["DbiResourceId"]
    [cluster] = sandbox.rds.describe_db_clusters(DBClusterIdentifier=aurora)["DBClusters"]
    assert [(one["DBInstanceIdentifier"], one["IsClusterWriter"]) for one in cluster["DBClusterMembers"]] == [
        (f"{aurora}-writer", True)
    ]
    code, message = refusal(partial(make, sandbox, SourceDBInstanceIdentifier=f"{aurora}-writer"))
    assert code == "InvalidParameterCombination"
    assert f"member of the DB cluster {aurora}" in message
    assert refusal(lambda: sandbox.rds.reboot_db_instance(DBInstanceIdentifier=f"{aurora}-writer")) == (
        "NotImplemented",
        "The sandbox only describes and deletes members of clusters.",
    )


def test_a_cluster_of_several_zones_comes_and_goes_with_its_members(sandbox: Sandbox) -> None:
    name = sandbox.name("multi")
    create = partial(
        sandbox.rds.create_db_cluster, DBClusterIdentifier=name, Engine="postgres", MasterUsername="boss",
        MasterUserPassword="correct-horse", DBClusterInstanceClass="db.m6g.large", AllocatedStorage=100,
        StorageType="io1", Iops=1000,
    )  # fmt: skip
    create(DBSubnetGroupName="sandbox-private")
    assert refusal(create)[0] == "DBClusterAlreadyExistsFault"
    members = {one for one in sandbox.names() if sandbox.instance(one).get("DBClusterIdentifier") == name}
    assert members == {f"{name}-instance-{number}" for number in (1, 2, 3)}
    assert {sandbox.instance(one)["Engine"] for one in members} == {"postgres"}
    [cluster] = sandbox.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    assert sorted(one["IsClusterWriter"] for one in cluster["DBClusterMembers"]) == [False, False, True]
    sandbox.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    assert not members & sandbox.names()
