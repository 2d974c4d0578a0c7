"""Whether the replica is one, follows its primary, and is set up as it should be."""

from __future__ import annotations

from collections.abc import Iterator

from replica_access.audit.facts import Facts
from replica_access.audit.rules.rule import Hit, Rule
from replica_access.model import Change
from replica_access.names import legible, shown
from replica_access.observed import Machine, Replication, Server, Surroundings

PARAMETERS = frozenset(
    {"create parameter group", "set parameters", "reset parameters", "attach parameter group", "reboot replica"}
)
ELSEWHERE = frozenset(
    {"create replica", "create security group", "allow address", "describe address", "tag address", "revoke address",
     "detach security group", "create subnet group", "change subnet group"}
)  # fmt: skip
"""Changes of a plan that another rule judges, or that only say what a rule is for."""

APPLY = "replica-access apply --yes"


def _missing(facts: Facts) -> Iterator[Hit]:
    around = facts.surroundings
    if around is not None and around.wanted is not None and around.replica is None:
        message = f"There is no replica {around.wanted}, which the spec wants."
        yield Hit(around.wanted, around.wanted, "", message, APPLY, "DescribeDBInstances knows none")


def _promoted(facts: Facts) -> Iterator[Hit]:
    for server, replication in _replicas(facts):
        if not replication.in_recovery:
            yield _about(
                server.name, "takes writes: it is no replica any more.", _anew(facts), "pg_is_in_recovery() is false"
            )
    asked = any(not replication.in_recovery for _, replication in _replicas(facts))
    for _, machine in _machines(facts):
        if machine.source is None and not asked:
            evidence = "it has no ReadReplicaSourceDBInstanceIdentifier"
            yield _about(machine.identifier, "is no replica any more: it was promoted.", _anew(facts), evidence)


def _other_system(facts: Facts) -> Iterator[Hit]:
    for server, replication in _replicas(facts):
        if replication.primary_system not in {None, replication.system_identifier}:
            evidence = (
                f"system identifier {replication.system_identifier}, the primary's is {replication.primary_system}"
            )
            yield _about(server.name, "is a copy of another system than the primary.", _anew(facts), evidence)


def _not_replicating(facts: Facts) -> Iterator[Hit]:
    for around, machine in _machines(facts):
        wrong = [status for status in machine.replication if status != "replicating"]
        if machine.source is not None and wrong:
            reboot = around.commands.rds("reboot-db-instance", instance=machine.identifier)
            evidence = f"StatusInfos says {', '.join(map(legible, machine.replication))}"
            yield _about(machine.identifier, f"does not replicate: it is {legible(wrong[0])}.", reboot, evidence)
    for server, replication in _replicas(facts):
        if replication.in_recovery and replication.paused:
            yield _about(
                server.name, "has its replay paused: readers see the past.", "SELECT pg_wal_replay_resume();",
                "pg_is_wal_replay_paused() is true",
            )  # fmt: skip
        elif replication.in_recovery and replication.streaming is False:
            yield _about(
                server.name, "does not stream from any server.",
                "-- on the replica: see primary_conninfo and its log; the primary has to be up and let it in",
                "pg_stat_wal_receiver has no row",
            )  # fmt: skip


def _behind(facts: Facts) -> Iterator[Hit]:
    for server, replication in _replicas(facts):
        if not replication.in_recovery or replication.paused or replication.streaming is False:
            continue
        delayed = replication.apply_delay not in {"0", "0ms"}
        same = replication.primary_system in {None, replication.system_identifier}
        if delayed:
            remedy = "ALTER SYSTEM RESET recovery_min_apply_delay; SELECT pg_reload_conf();"
            evidence = f"recovery_min_apply_delay is {replication.apply_delay}"
            yield _about(server.name, "is behind the primary on purpose.", remedy, evidence)
        elif replication.caught_up is False and same:
            remedy = (
                "SELECT pid, usename, query_start, query FROM pg_stat_activity"
                " WHERE backend_xmin IS NOT NULL ORDER BY query_start;\n-- what holds replay up: end it, or wait"
            )
            yield _about(server.name, "is behind the primary, and does not catch up.", remedy, replication.detail)


def _catalogs(facts: Facts) -> Iterator[Hit]:
    for server in facts.replicas:
        for compared in server.comparisons:
            if not compared.agreed:
                where = "the shared catalogs" if compared.database is None else f"database {shown(compared.database)}"
                yield Hit(
                    server=legible(server.name),
                    database=None if compared.database is None else shown(compared.database),
                    subject=legible(server.name),
                    object=where,
                    message=f"{legible(server.name)} says other things of the readers than the primary, in {where}.",
                    remedy=_anew(facts),
                    evidence=compared.detail,
                )


def _parameters(facts: Facts) -> Iterator[Hit]:
    for around, machine in _machines(facts):
        for change in _changes(around, PARAMETERS):
            yield _about(
                machine.identifier, f"has other parameters than declared: {change.summary}.", APPLY, change.action
            )
        if any(_changes(around, PARAMETERS)):
            continue
        for group, status in machine.parameter_groups.items():
            if status not in {"in-sync", "applying"}:
                reboot = around.commands.rds("reboot-db-instance", instance=machine.identifier)
                yield Hit(
                    server=machine.identifier, subject=machine.identifier, object=group,
                    message=f"{machine.identifier} does not run with all that its parameter group {group} says.",
                    remedy=reboot, evidence=f"ParameterApplyStatus is {status}",
                )  # fmt: skip


def _drift(facts: Facts) -> Iterator[Hit]:
    for around, machine in _machines(facts):
        for change in around.changes:
            if change.action not in PARAMETERS | ELSEWHERE and change.object == machine.identifier:
                remedy = APPLY + (" --allow-revoke" if change.takes else "")
                yield Hit(
                    server=machine.identifier, subject=machine.identifier, object=change.action,
                    message=f"{machine.identifier} is not as declared: {change.summary}.",
                    remedy=remedy, evidence=_call(change),
                )  # fmt: skip


def _blocked(facts: Facts) -> Iterator[Hit]:
    around = facts.surroundings
    for blocked in around.blocked if around is not None else ():
        yield Hit(
            server=around.wanted or "" if around is not None else "", subject=blocked.object, object="",
            message=f"What the spec says of AWS cannot be carried out: {blocked.reason}.",
            remedy=blocked.remedy or f"# {blocked.fix}", evidence=blocked.reason,
        )  # fmt: skip


def _unprotected(facts: Facts) -> Iterator[Hit]:
    for around, machine in _machines(facts):
        if not machine.deletion_protection:
            declared = facts.spec.replica is not None and facts.spec.replica.deletion_protection
            command = around.commands.modify(machine.identifier, "--deletion-protection")
            yield _about(
                machine.identifier, "can be deleted by one call: it is not protected from deletion.",
                APPLY if declared else f"{command}\n# and deletion_protection = true in the spec",
                "DeletionProtection is false",
            )  # fmt: skip


def _unencrypted(facts: Facts) -> Iterator[Hit]:
    around = facts.surroundings
    for machine in filter(None, (around.primary, around.replica)) if around is not None else ():
        if not machine.encrypted:
            yield _about(
                machine.identifier, "keeps its data unencrypted.",
                "# only a new instance from an encrypted copy of a snapshot of the primary changes that",
                "StorageEncrypted is false",
            )  # fmt: skip


def _logging(facts: Facts) -> Iterator[Hit]:
    for around, machine in _machines(facts):
        if "postgresql" not in machine.log_exports:
            logs = '{"EnableLogTypes":["postgresql"]}'
            declared = facts.spec.replica is not None and "postgresql" in facts.spec.replica.log_exports
            export = around.commands.modify(machine.identifier, "--cloudwatch-logs-export-configuration", logs)
            yield _about(
                machine.identifier, "keeps its log to itself, for a few days: nobody can look up who did what.",
                APPLY if declared else export, "EnabledCloudwatchLogsExports lacks postgresql",
            )  # fmt: skip
    for server in facts.replicas:
        if server.settings.get("log_connections") in {"off", ""}:
            setting = f"log_connections is {server.settings['log_connections'] or 'empty'}"
            remedy = "ALTER SYSTEM SET log_connections = on; SELECT pg_reload_conf();"
            if facts.surroundings is not None:
                remedy = '# write log_connections = "1" into [replica] parameters of the spec, then: ' + APPLY
            yield Hit(
                server=legible(server.name), subject=legible(server.name), object="log_connections",
                message=f"{legible(server.name)} does not log who connects.", remedy=remedy, evidence=setting,
            )  # fmt: skip


# --- what the rules share --------------------------------------------------------------------------------------------


def _replicas(facts: Facts) -> Iterator[tuple[Server, Replication]]:
    yield from ((server, server.replication) for server in facts.replicas if server.replication is not None)


def _machines(facts: Facts) -> Iterator[tuple[Surroundings, Machine]]:
    """Yield the replica, as RDS has it."""
    around = facts.surroundings
    if around is not None and around.replica is not None:
        yield around, around.replica


def _changes(around: Surroundings, actions: frozenset[str]) -> Iterator[Change]:
    yield from (change for change in around.changes if change.action in actions)


def _call(change: Change) -> str:
    return f"the plan would call {change.call.service}:{change.call.operation}" if change.call is not None else ""


def _anew(facts: Facts) -> str:
    if facts.surroundings is None:
        return "# make it anew from a base backup of the primary, or name the right server in replica.dsn of the spec"
    return "# name another replica.instance in the spec, then: " + APPLY


def _about(name: str, what: str, remedy: str, evidence: str) -> Hit:
    name = legible(name)
    return Hit(name, name, "", f"{name} {what}", remedy, evidence)


RULES = (
    Rule("replica-missing", "high", "The replica that the spec wants is not there.", _missing),
    Rule("replica-promoted", "high", "What should be a replica takes writes, and may be public.", _promoted),
    Rule("replica-other-system", "high", "The replica is a copy of something else than the primary.", _other_system),
    Rule(
        "replica-not-replicating",
        "high",
        "The replica stands still: readers see the past.",
        _not_replicating,
    ),
    Rule("replica-behind", "medium", "The replica does not catch up with the primary.", _behind),
    Rule("replica-catalogs", "high", "Primary and replica disagree on what readers may do.", _catalogs),
    Rule("replica-parameters", "medium", "The replica runs with other parameters than declared.", _parameters),
    Rule("replica-drift", "medium", "The replica is set up otherwise than declared.", _drift),
    Rule("replica-blocked", "medium", "What the spec says of AWS cannot be carried out.", _blocked),
    Rule("replica-unprotected", "low", "One call deletes the replica.", _unprotected),
    Rule("replica-unencrypted", "medium", "Data and backups lie on disk unencrypted.", _unencrypted),
    Rule("replica-logging", "low", "Nobody can look up afterwards who connected and what they did.", _logging),
)
