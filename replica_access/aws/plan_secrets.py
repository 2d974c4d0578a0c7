"""Which secrets of users name another endpoint than the replica's, and have to follow it: pure.

Tools read host and port beside the password. A replica that is made again, or under another name, has other ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replica_access.aws.landscape import Instance
from replica_access.aws.secret_store import Kept
from replica_access.model import Call, Change
from replica_access.names import shown


def follow(kept: Mapping[str, Kept], replica: Instance | None, name: str) -> Iterator[Change]:
    """Plan what the secrets in `kept` lack.

    :param kept: what the secrets hold, by their names.
    :param replica: as it is; ``None`` where it has yet to be made, and nobody knows its endpoint.
    :param name: the replica's.
    """
    for secret, each in kept.items():
        if replica is None or (each.host, each.port) != (replica.host, replica.port):
            yield Change(
                "aws",
                "update secret",
                secret,
                f"write the endpoint of {name} beside the password of {shown(each.user)}, in {secret}",
                call=Call("secretsmanager", "PutSecretValue", {"SecretId": secret}),
            )
