"""What becomes of the secrets of users when the replica does: pure.

Tools read host and port beside the password. A replica that is made again, or under another name, has other ones. A
secret that went with a replica, and can still be restored, has the password of the role that has stayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replica_access.aws import ownership
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
            yield _update(secret, each.user, name)


def restored(deleted: Mapping[str, Mapping[str, str]], users: Mapping[str, str], name: str) -> Iterator[Change]:
    """Plan to restore secrets for the replica `name`.

    :param deleted: the tags of each, by their names.
    :param users: of each, by the same names.
    """
    for secret, tags in deleted.items():
        sentence = f"restore the secret {secret}, which waits for its deletion"
        call = Call("secretsmanager", "RestoreSecret", {"SecretId": secret})
        yield Change("aws", "restore secret", secret, sentence, call=call)
        if not ownership.belongs_to(name, tags):
            call = Call(
                "secretsmanager", "TagResource", {"SecretId": secret, "Tags": ownership.as_list(ownership.tags(name))}
            )
            yield Change("aws", "tag secret", secret, f"let the secret {secret} belong to {name}", call=call)
        yield _update(secret, users[secret], name)


def _update(secret: str, user: str, name: str) -> Change:
    return Change(
        "aws",
        "update secret",
        secret,
        f"write the endpoint of {name} beside the password of {shown(user)}, in {secret}",
        call=Call("secretsmanager", "PutSecretValue", {"SecretId": secret}),
    )
