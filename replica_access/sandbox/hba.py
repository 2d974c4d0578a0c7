"""Who may come in to a sandbox server, from where: the lines of pg_hba.conf that stand for its security groups."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

__all__ = ["hba_lines"]


def hba_lines(*, allowed: Sequence[IPv4Network | IPv6Network], tls: bool, superuser: str = "rdsadmin") -> list[str]:
    """The lines that let in the bootstrap superuser, its replicas, and the allowed networks.

    The superuser and the replicas come from this machine only, TLS or not. Everybody else comes from an allowed network
    and over TLS (RDS's ``rds.force_ssl``), or by plain TCP where the server was built without it, and never into the
    database ``rdsadmin``. All by SCRAM.
    """
    user = '"' + superuser.replace('"', '""') + '"'
    kind = "hostssl" if tls else "host"
    return [
        f"host all {user} 127.0.0.1/32 scram-sha-256",
        f"host replication {user} 127.0.0.1/32 scram-sha-256",
        f"host all {user} all reject",
        "host rdsadmin all all reject",
        *(f"{kind} all all {network} scram-sha-256" for network in allowed),
    ]
