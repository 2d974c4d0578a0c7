"""Who may come in to a sandbox server, from where: the lines of pg_hba.conf that stand for its security groups."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

__all__ = ["IamUsers", "hba_lines"]


IamUsers = Literal["", "refused", "vouched for"]


def hba_lines(
    *,
    allowed: Sequence[IPv4Network | IPv6Network],
    tls: bool,
    superuser: str = "rdsadmin",
    iam_users: IamUsers = "",
    master: str | None = None,
) -> list[str]:
    """The lines that let in the bootstrap superuser, its replicas, and the allowed networks.

    The superuser and the replicas come from this machine only, TLS or not. Everybody else comes from an allowed network
    and over TLS (RDS's ``rds.force_ssl``), or by plain TCP where the server was built without it, and never into the
    database ``rdsadmin``. All by SCRAM.

    :param iam_users: what members of ``rds_iam`` are, who have no use for a password on any instance: refused, or let
        in by the certificate of a gate.
    :param master: whoever logs in by SCRAM although they count as a member: PostgreSQL counts those who may grant a
        role among its members here, whether or not they have any use of it.
    """
    user = quoted(superuser)
    kind = "hostssl" if tls else "host"
    return [
        f"host all {user} 127.0.0.1/32 scram-sha-256",
        f"host replication {user} 127.0.0.1/32 scram-sha-256",
        f"host all {user} all reject",
        "host rdsadmin all all reject",
        *(f"{kind} all {quoted(master)} {network} scram-sha-256" for network in allowed if master and iam_users),
        *(f"hostssl all +rds_iam {network} cert" for network in allowed if iam_users == "vouched for"),
        *(f"{kind} all +rds_iam {network} reject" for network in allowed if iam_users),
        *(f"{kind} all all {network} scram-sha-256" for network in allowed),
    ]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
