"""What becomes of the secrets of users when the replica does: pure.

Tools read host and port beside the password. A replica that is made again, or under another name, has other ones. A
secret that went with a replica, and can still be restored, has the password of the role that has stayed. Two replicas
of one primary have the same roles, and the secret of a user is that of the replica for which it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replica_access.aws import ownership
from replica_access.aws.landscape import Instance
from replica_access.aws.secret_store import Kept
from replica_access.model import Call, Change, Pending
from replica_access.names import shown


def behind(kept: Mapping[str, Kept], replica: Instance | None) -> Iterator[str]:
    """Yield which of the secrets in `kept` name another endpoint than the replica's.

    :param kept: what the secrets hold, by their names.
    :param replica: as it is; ``None`` where it has yet to be made, and nobody knows its endpoint.
    """
    for secret, each in kept.items():
        if replica is None or (each.host, each.port) != (replica.host, replica.port):
            yield secret


def follow(found: Mapping[str, Mapping[str, str]], users: Mapping[str, str], name: str) -> Iterator[Change]:
    """Plan to let secrets of ours follow the replica `name` to its endpoint; those of one that is gone become its own.

    :param found: the tags of each, by their names; without those of another replica that is there.
    :param users: of each, by the same names.
    """
    for secret, tags in found.items():
        if ownership.is_managed(tags):
            if not ownership.belongs_to(name, tags):
                yield _tag(secret, name)
            yield _update(secret, users[secret], name)


def shared(found: Mapping[str, Mapping[str, str]], name: str) -> Iterator[Pending]:
    """Yield what is not done to secrets of other replicas that are there: each run would take back the other's.

    :param found: the tags of each, by their names.
    """
    for secret, tags in found.items():
        owner = tags[ownership.REPLICA_TAG]
        reason = f"belongs to {owner} and names its endpoint; the password in it is that of {name}, too"
        yield Pending("secret", secret, reason)


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
            yield _tag(secret, name)
        yield _update(secret, users[secret], name)


def _tag(secret: str, name: str) -> Change:
    call = Call("secretsmanager", "TagResource", {"SecretId": secret, "Tags": ownership.as_list(ownership.tags(name))})
    return Change("aws", "tag secret", secret, f"let the secret {secret} belong to {name}", call=call)


def _update(secret: str, user: str, name: str) -> Change:
    return Change(
        "aws",
        "update secret",
        secret,
        f"write the endpoint of {name} beside the password of {shown(user)}, in {secret}",
        call=Call("secretsmanager", "PutSecretValue", {"SecretId": secret}),
    )
