"""The background process of a sandbox: the AWS endpoint, and the parent of the PostgreSQL servers behind it.

Started by ``lifecycle.start``, as ``python -m replica_access.sandbox.endpoint``. It leaves the terminal of whoever
started it, reports once through a pipe that it is ready or why it is not, and serves until it is told to stop (SIGTERM)
or its directory is gone. Then it ends the servers and deletes what it made.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from replica_access.errors import Error
from replica_access.sandbox import directory as sandbox
from replica_access.sandbox import rds_like, site
from replica_access.sandbox.binaries import find_installation
from replica_access.sandbox.faults import NO_FAULTS
from replica_access.sandbox.process import polls
from replica_access.sandbox.sample import load_sample
from replica_access.sandbox.server import PostgresServer
from replica_access.sandbox.site import Site

if TYPE_CHECKING:
    from replica_access.sandbox.rds_instances import Instance

__all__ = ["ACCOUNT", "PRIMARY", "REGION"]

log = logging.getLogger("replica_access.sandbox")

ACCOUNT, REGION = "123456789012", site.HOME_REGION
PRIMARY, MASTER, SECRET = "prod-db", "master", "prod-db/master"
LOOPBACK = "127.0.0.1/32"
AVAILABLE_SECONDS = 30.0
WATCH_SECONDS = 1.0
STOP_POLL_SECONDS = 0.05  # how long the end of serving may take; werkzeug lets half a second pass


@dataclass(frozen=True, slots=True)
class Options:
    directory: Path
    databases: tuple[str, ...]
    empty: bool
    pg_bin: Path | None
    report: int


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    if os.fork():
        os._exit(0)
    os.setsid()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with os.fdopen(options.report, "w", encoding="utf-8") as pipe:
        try:
            with sandbox.hold(options.directory):
                serve(options, pipe)
        except Error as error:
            log.error("%s", error)
            fail(pipe, error)
        except Exception as error:
            log.exception("the sandbox failed")
            fail(pipe, Error(f"The sandbox failed: {type(error).__name__}: {error}.", "Please report it."))


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m replica_access.sandbox.endpoint")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--databases", default="")
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--pg-bin", type=Path)
    parser.add_argument("--report", type=int, required=True, help="file descriptor of the pipe to report to")
    given = parser.parse_args(arguments)
    names = tuple(name for name in given.databases.split(",") if name)
    return Options(given.dir, names, given.empty, given.pg_bin, given.report)


def report(pipe: TextIO, message: dict[str, Any]) -> None:
    """Tell whoever started us, once; there may be nobody any more."""
    if not pipe.closed:
        with suppress(OSError), pipe:
            json.dump(message, pipe)


def fail(pipe: TextIO, error: Error) -> NoReturn:
    report(pipe, {"error": {"what": error.what, "fix": error.fix, "exit_status": error.exit_status}})
    sys.exit(1)


def serve(options: Options, pipe: TextIO) -> None:
    """Set everything up, say so, serve, and take everything away again.

    :raises Error: it could not be set up; nothing is left but the log.
    """
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: told_to_stop.set())
    gc.disable()  # moto's models stay: to look for garbage in them, now or later, takes longer than most requests
    try:
        place = site.prepare(
            sandbox.instances_directory(options.directory),
            sandbox.authority_directory(options.directory),
            find_installation(options.pg_bin),
            superuser_password=secrets.token_urlsafe(24),
        )
        with ThreadPoolExecutor(max_workers=1) as beside:
            primary = beside.submit(make_primary, place, options, password := secrets.token_urlsafe(24))
            set_up(place, password, primary)
        gc.freeze()
        gc.enable()
        with answering(place) as whereabouts:
            sandbox.write_state(options.directory, sandbox.read_state(options.directory) | whereabouts)
            report(pipe, {"ready": True})
            log.info("serving on %s", whereabouts["endpoint_url"])
            while not told_to_stop.wait(WATCH_SECONDS) and sandbox.is_sandbox(options.directory):
                pass
            log.info("stopping")
    finally:
        end_instances()
        if sandbox.is_sandbox(options.directory):
            sandbox.clear(options.directory)


def make_primary(place: Site, options: Options, password: str) -> PostgresServer:
    """The primary with its databases. Done while moto is being imported, which takes as long."""
    server = site.make_primary(place, PRIMARY, master=MASTER, password=password)
    if not options.empty:
        load_sample(server, MASTER, options.databases)
    return server


def set_up(place: Site, password: str, primary: Future[PostgresServer]) -> None:
    """The account: its network, the primary as a DB instance, and the secret of its master user."""
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # half a second for images that nobody starts here
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # no web page shall read what is in here
    from moto.ec2.models import ec2_backends

    from replica_access.sandbox import ec2, network, rds, secretsmanager, servicequotas

    ec2.install(place)
    rds.install(place)
    secretsmanager.install()
    servicequotas.install(place)
    networks, instances = ec2_backends[ACCOUNT][REGION], rds.backend(ACCOUNT, REGION)
    layout = network.build(networks, instances)
    server = primary.result()
    networks.authorize_security_group_ingress(
        layout.database_group,
        ip_protocol="tcp",
        from_port=str(server.port),
        to_port=str(server.port),
        ip_ranges=[{"CidrIp": LOOPBACK, "Description": "this machine"}],
    )
    instance = instances.create_on(
        {
            "db_instance_identifier": PRIMARY,
            "db_instance_class": "db.t4g.medium",
            "engine": "postgres",
            "allocated_storage": 20,
            "storage_type": "gp3",
            "storage_encrypted": True,
            "kms_key_id": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}",
            "backup_retention_period": 7,
            "deletion_protection": True,
            "master_username": MASTER,
            "master_user_password": password,
            "db_subnet_group_name": network.PUBLIC_GROUP,
            "vpc_security_group_ids": [layout.database_group],
            "publicly_accessible": False,
            "tags": [{"Key": "Name", "Value": PRIMARY}],
        },
        lambda: server,
    )
    wait_until_available(instance)
    store_secret(server, password)


def wait_until_available(instance: Instance) -> None:
    """:raises Error: it failed, or takes too long."""
    for _ in polls(AVAILABLE_SECONDS):
        if instance.status == "available":
            return
        if instance.status == "failed":
            break
    raise Error(f"The instance {PRIMARY} did not become available: it is {instance.status}.", "Please report it.")


def store_secret(server: PostgresServer, password: str) -> None:
    """Keep the master user's password as RDS and the rotation of Secrets Manager expect it."""
    from moto.secretsmanager.models import secretsmanager_backends

    secret = {
        "engine": "postgres",
        "host": server.host,
        "port": server.port,
        "username": MASTER,
        "password": password,
        "dbname": "postgres",
        "dbInstanceIdentifier": PRIMARY,
    }
    secretsmanager_backends[ACCOUNT][REGION].create_secret(
        name=SECRET,
        secret_string=json.dumps(secret),
        secret_binary=None,
        description="the master user of the primary",
        tags=[],
        kms_key_id=None,
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )


@contextmanager
def answering(place: Site) -> Iterator[dict[str, Any]]:
    """Serve from a thread for the length of the block; yields where, and how to ask for the status."""
    from replica_access.sandbox import rds, wire

    token = secrets.token_urlsafe(24)
    server = wire.listen(
        wire.Application(
            lock=place.lock,
            settle=enforce_security_groups,
            status=lambda: describe(place, server.port),
            busy=busy_instances,
            faults=place.faults,
            turn=rds.turn,
            visit=visit,
            token=token,
        )
    )
    threading.Thread(target=server.serve_forever, args=[STOP_POLL_SECONDS], name="http", daemon=True).start()
    try:
        yield {"endpoint_url": f"http://127.0.0.1:{server.port}", "token": token}
    finally:
        server.shutdown()
        server.server_close()
        place.faults.replace(NO_FAULTS)  # which nothing shall wait for now


def visit(region: str) -> None:
    """Give a Region its network when somebody first comes there, as somebody would have made it."""
    from moto.ec2.models import ec2_backends

    from replica_access.sandbox import network, rds

    if region != REGION:
        network.build(ec2_backends[ACCOUNT][region], rds.backend(ACCOUNT, region))


def enforce_security_groups() -> None:
    from replica_access.sandbox import rds

    for instance in rds.instances():
        instance.enforce_security_groups()


def busy_instances() -> list[str]:
    """The instances that have something to do yet, by name."""
    from replica_access.sandbox import rds

    return [str(instance.db_instance_identifier) for instance in rds.instances() if instance.is_busy]


def describe(place: Site, port: int) -> dict[str, Any]:
    """The document ``sandbox status``."""
    from replica_access.sandbox import rds

    return {
        "schema": "replica-access/sandbox-status/1",
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region": REGION,
        "account": ACCOUNT,
        "ca_bundle": str(place.authority.bundle),
        "tls": place.installation.tls,
        "superuser": {"user": rds_like.SUPERUSER, "password": place.superuser_password},
        "instances": [
            {
                "instance": instance.db_instance_identifier,
                "role": "replica" if instance.is_replica else "primary",
                "region": instance.region,
                "source": instance.source_db_instance_identifier,
                "status": instance.status,
                "host": instance.server.host,
                "port": instance.listens_on,
                "version": instance.engine_version,
                "admin": {"user": instance.master_username, "password": instance.master_password},
                "databases": databases(instance.server),
                "log": str(instance.server.log_path),
            }
            for instance in rds.instances()
            if instance.server is not None
        ],
    }


def databases(server: PostgresServer) -> list[str]:
    """Those that clients can use, by name; none while it does not answer."""
    try:
        names = server.psql(
            "SELECT datname FROM pg_catalog.pg_database"
            " WHERE datallowconn AND NOT datistemplate AND datname <> 'rdsadmin' ORDER BY datname"
        )
    except Error:
        return []
    return names.splitlines()


def end_instances() -> None:
    """Let every job end, then every server, all at the same time."""
    if "moto.rds.models" not in sys.modules:
        return
    from replica_access.sandbox import rds

    instances = list(rds.instances())
    for instance in instances:
        instance.finish_work()
    running = [instance.server for instance in instances if instance.server is not None]
    with ThreadPoolExecutor(max_workers=max(1, len(running))) as beside:
        for _ in beside.map(lambda server: server.stop("immediate"), running):
            pass


if __name__ == "__main__":
    main(sys.argv[1:])
