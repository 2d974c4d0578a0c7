"""PostgreSQL servers that run here: made, started, replicated, reconfigured, stopped.

A server is a directory, closed to others::

    server.json     how to run it and how to log in as its superuser
    data/           the cluster; postgresql.conf is ours, parameters.conf holds what apply_settings set
    tls/            its certificate and key, where it has them
    postgres.log    what it logged

It listens on 127.0.0.1 only, and by TCP only: the path of a Unix socket may not exceed 107 bytes, and directories do.
It trades durability for speed (fsync is off).
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from replica_access.errors import Error
from replica_access.sandbox import configuration, process, programs
from replica_access.sandbox.binaries import Installation, inspect
from replica_access.sandbox.certificates import ServerCertificate
from replica_access.sandbox.hba import hba_lines
from replica_access.sandbox.process import StopMode
from replica_access.sandbox.unprivileged import command, hand_over

__all__ = ["PostgresServer"]

RELOAD_SECONDS = 10.0
PORT_ATTEMPTS = 5

WRONG_HBA_LINES = "SELECT line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL"
# Reading the file marks what waits for a restart, so the second statement can tell that from what is wrong.
WRONG_SETTINGS = """
DO 'BEGIN PERFORM pg_catalog.count(*) FROM pg_catalog.pg_file_settings; END';
SELECT f.name, f.error FROM pg_catalog.pg_file_settings f LEFT JOIN pg_catalog.pg_settings s USING (name)
WHERE f.error IS NOT NULL AND s.pending_restart IS NOT TRUE ORDER BY f.name"""
WAITING_SETTINGS = "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name"


@dataclass(slots=True)
class PostgresServer:
    """One cluster and, while it runs, its process.

    :ivar superuser: the bootstrap superuser, who may log in from 127.0.0.1 without TLS.
    :ivar bundle: what clients verify the server's certificate with; None where it has no TLS.
    :ivar settings: server settings beside our own; ``apply_settings`` overrides them.
    :ivar tied: the server ends with the process, more exactly the thread, that started it. Otherwise it runs until it
        is stopped, which any process can do that opens the directory.
    """

    installation: Installation
    directory: Path
    port: int
    superuser: str
    superuser_password: str = field(repr=False)
    bundle: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    tied: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False, compare=False)

    host = "localhost"

    @classmethod
    def create(
        cls,
        installation: Installation,
        directory: Path,
        *,
        superuser: str = "rdsadmin",
        superuser_password: str,
        certificate: ServerCertificate | None = None,
        hba: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        tied: bool = False,
    ) -> PostgresServer:
        """A new cluster in a directory that does not exist yet, running.

        :param hba: the lines of pg_hba.conf; by default whoever comes from 127.0.0.1 is let in.
        :param port: a free one by default.
        :raises Error: initdb or the server failed; nothing is left behind.
        """
        directory = directory.resolve()
        server = cls(
            installation,
            directory,
            port or process.free_port(),
            superuser,
            superuser_password,
            bundle=certificate.bundle if certificate else None,
            settings=dict(settings or {}),
            tied=tied,
        )
        if hba is None:
            hba = hba_lines(allowed=[ip_network("127.0.0.1/32")], tls=server.tls, superuser=superuser)
        with process.new_home(directory):
            programs.initdb(installation, server.data, superuser=superuser, password=superuser_password)
            server._write(server._parameters, "")
            server._write_hba(hba)
            server._set_up(certificate)
            server._start_first_time(any_port=port is None)
        return server

    @classmethod
    def create_replica(
        cls,
        source: PostgresServer,
        directory: Path,
        *,
        certificate: ServerCertificate | None = None,
        hba: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        tied: bool = False,
    ) -> PostgresServer:
        """A new standby that streams from ``source``, running and open for reading.

        Roles, passwords and what ``apply_settings`` set come with the copy; so do the lines of pg_hba.conf, unless
        others are given, and the settings, unless overridden. ``source`` keeps enough WAL for a replica that is stopped
        for a while; there is no replication slot to fill its disk when a replica is forgotten.

        :raises Error: the copy or the server failed; nothing is left behind.
        """
        directory = directory.resolve()
        replica = cls(
            source.installation,
            directory,
            port or process.free_port(),
            source.superuser,
            source.superuser_password,
            bundle=certificate.bundle if certificate else None,
            settings={**source.settings, **(settings or {})},
            tied=tied,
        )
        with process.new_home(directory):
            programs.base_backup(
                source.installation,
                replica.data,
                host=source.host,
                port=source.port,
                user=source.superuser,
                password=source.superuser_password,
            )
            if hba is not None:
                replica._write_hba(hba)
            replica._set_up(certificate)
            replica._start_first_time(any_port=port is None)
        return replica

    @classmethod
    def open(cls, directory: Path) -> PostgresServer:
        """The server in a directory that ``create`` or ``create_replica`` made, running or not.

        :raises Error: there is none.
        """
        try:
            kept = json.loads((directory / "server.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise Error(f"There is no PostgreSQL server of the sandbox in {directory}.", "Name another one.") from error
        installation = inspect(Path(kept.pop("bin_dir")), named_by=str(directory / "server.json"))
        bundle = kept.pop("bundle")
        return cls(installation, directory.resolve(), bundle=Path(bundle) if bundle else None, **kept)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log_path(self) -> Path:
        return self.directory / "postgres.log"

    @property
    def tls(self) -> bool:
        return self.bundle is not None

    def start(self) -> None:
        """Start it and wait until it lets somebody in; no harm if it runs.

        :raises Error: it ended instead, or took longer than a minute; with the end of its log.
        """
        if self.is_running():
            return
        if self.tied and threading.current_thread() is not threading.main_thread():
            raise ValueError("start a tied server from the main thread: it would end with any other")
        self._process = process.start(
            command([self.installation.tool("postgres"), "-D", self.data], tied=self.tied),
            self.data,
            log=self.log_path,
            environment=self.installation.environment(),
        )

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop it and wait until its process is gone; no harm if it is stopped.

        :raises Error: it still runs after a minute.
        """
        process.stop(self.data, mode)
        if self._process is not None:
            if not self.data.exists():  # somebody deleted it, and with it the file that says which process it is
                self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def move(self, clients: Path) -> None:
        """Restart on another free port, and from now on ask for certificates that this authority has signed.

        :param clients: the authority's certificate; whom one lets in, pg_hba.conf says.
        :raises Error: it does not start any more.
        """
        self._write(self.directory / "tls" / "clients.crt", clients.read_text(encoding="ascii"))
        self.settings = {**self.settings, "ssl_ca_file": "../tls/clients.crt"}
        self.stop()
        self.port = process.free_port()
        self._save()
        self._start_first_time(any_port=True)

    def remove(self) -> None:
        """Stop it and delete its directory."""
        self.stop("immediate")
        shutil.rmtree(self.directory)

    def is_running(self) -> bool:
        return process.running(self.data) is not None

    def is_replica(self) -> bool:
        """Whether it is a standby, running or not."""
        return (self.data / "standby.signal").exists()

    def promote(self) -> None:
        """Make a standby a primary of its own, and wait until it is.

        :raises DatabaseError: it is none.
        :raises Error: it took longer than a minute.
        """
        if self.psql("SELECT pg_catalog.pg_promote()") != "t":
            raise Error(f"The PostgreSQL server in {self.directory} was not promoted.", f"See {self.log_path}.")

    def reload(self) -> None:
        """Read the configuration files again; whoever connects afterwards meets the new ones.

        :raises Error: it does not run, or could not.
        """
        before = self.psql("SELECT pg_catalog.pg_conf_load_time() FROM pg_catalog.pg_reload_conf()")
        for _ in process.polls(RELOAD_SECONDS):
            if self.psql("SELECT pg_catalog.pg_conf_load_time()") != before:
                return
        raise Error(f"The PostgreSQL server in {self.directory} did not reload its files.", f"See {self.log_path}.")

    def write_hba(self, lines: Sequence[str]) -> None:
        """Replace pg_hba.conf; a running server follows it from the next connection on.

        :raises Error: the server cannot read a line; the former file is in place again.
        """
        former = self._hba.read_text(encoding="utf-8")
        self._write_hba(lines)
        if not self.is_running():
            return
        if wrong := self.psql(WRONG_HBA_LINES):
            self._write(self._hba, former)
            raise Error(f"The server in {self.directory} cannot read these lines of pg_hba.conf: {wrong}.")
        self.reload()

    def apply_settings(self, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Replace the settings that were applied before by these; a running server takes them up.

        :return: the names of those that wait for a restart, in order.
        :raises Error: a name or a value is wrong; the former ones are in place again.
        """
        former = self._parameters.read_text(encoding="utf-8")
        self._write(self._parameters, configuration.render(settings))
        if not self.is_running():
            return ()
        if wrong := self.psql(WRONG_SETTINGS):
            self._write(self._parameters, former)
            raise Error(f"The server in {self.directory} refuses these settings: {wrong}.")
        self.reload()
        return tuple(self.psql(WAITING_SETTINGS).splitlines())

    def dsn(
        self, *, user: str | None = None, password: str | None = None, dbname: str = "postgres", **params: str
    ) -> str:
        """A libpq connection string, by default the superuser's; it holds the password.

        Others verify the server in full where it has TLS. ``params`` are libpq's and override.
        """
        secret = self._password(user, password)
        given = {**self._connection(user, dbname), **({"password": secret} if secret else {}), **params}
        return configuration.conninfo(given)

    def psql(
        self,
        sql: str,
        *,
        dbname: str = "postgres",
        user: str | None = None,
        password: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """What psql prints for a script: rows only, unaligned; by default as the superuser.

        :param variables: psql's, for ``:'name'`` and ``:"name"`` in the script.
        :raises DatabaseError: a statement failed, or there is no connection.
        """
        return programs.psql(
            self.installation,
            configuration.psql_variables(variables or {}) + sql,
            connection=configuration.conninfo(self._connection(user, dbname)),
            password=self._password(user, password) or "",
        )

    def _connection(self, user: str | None, dbname: str) -> dict[str, str]:
        where = {"host": self.host, "port": str(self.port), "dbname": dbname, "user": user or self.superuser}
        if self.bundle is None or where["user"] == self.superuser:
            return {**where, "sslmode": "disable"}
        return {**where, "sslmode": "verify-full", "sslrootcert": str(self.bundle)}

    def _password(self, user: str | None, password: str | None) -> str | None:
        return self.superuser_password if user in {None, self.superuser} and password is None else password

    @property
    def _hba(self) -> Path:
        return self.data / "pg_hba.conf"

    @property
    def _parameters(self) -> Path:
        return self.data / configuration.PARAMETERS_FILE

    def _write_hba(self, lines: Sequence[str]) -> None:
        self._write(self._hba, "".join(f"{line}\n" for line in lines))

    def _write(self, path: Path, text: str) -> None:
        """Write what the server reads."""
        configuration.write_private(path, text)
        hand_over(path)

    def _set_up(self, certificate: ServerCertificate | None) -> None:
        if certificate is not None:
            if not self.installation.tls:
                raise Error(f"PostgreSQL {self.installation.version} in {self.installation.bin_dir} has no TLS.")
            tls = self.directory / "tls"
            tls.mkdir(mode=0o700)
            hand_over(tls)
            self._write(tls / "server.crt", certificate.certificate.read_text(encoding="ascii"))
            self._write(tls / "server.key", certificate.key.read_text(encoding="ascii"))
        self._save()

    def _save(self) -> None:
        """Write how to run it: for the server, and for ``open``."""
        main = configuration.main_file(port=self.port, name=self.directory.name, tls=self.tls, settings=self.settings)
        self._write(self.data / "postgresql.conf", main)
        kept = {
            "bin_dir": str(self.installation.bin_dir),
            "port": self.port,
            "superuser": self.superuser,
            "superuser_password": self.superuser_password,
            "bundle": str(self.bundle) if self.bundle else None,
            "settings": dict(self.settings),
        }
        configuration.write_private(self.directory / "server.json", json.dumps(kept, indent=2))

    def _start_first_time(self, *, any_port: bool) -> None:
        """Start; where the port was our choice and somebody took it meanwhile, choose again."""
        for attempt in range(PORT_ATTEMPTS):
            try:
                self.start()
            except Error:
                if not any_port or attempt == PORT_ATTEMPTS - 1 or process.is_free(self.port):
                    raise
                self.port = process.free_port()
                self._save()
            else:
                return
