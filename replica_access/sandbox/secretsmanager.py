"""moto's Secrets Manager, made to refuse a name that waits for its deletion, and to know how old a version is."""

from __future__ import annotations

import json
from typing import Any

from moto.secretsmanager import urls as moto_urls
from moto.secretsmanager.exceptions import InvalidRequestException, SecretNotFoundException
from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends

__all__ = ["install"]


def install() -> None:
    """Make moto use this backend; must come before anything asks for a backend."""
    secretsmanager_backends.clear()
    secretsmanager_backends.backend = SandboxSecretsManager


class SandboxSecretsManager(SecretsManagerBackend):
    @property
    def _url_module(self) -> Any:
        return moto_urls

    def create_secret(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name in self.secrets and self.secrets[name].is_deleted():
            raise InvalidRequestException(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
            )
        return super().create_secret(name, *args, **kwargs)

    def list_secret_version_ids(self, secret_id: str) -> str:
        """moto says of every version that it was made just now, and fails where there is no such secret."""
        secret = self.secrets.get(secret_id)
        if secret is None:
            raise SecretNotFoundException
        document = json.loads(super().list_secret_version_ids(secret_id))
        for version in document["Versions"]:
            version["CreatedDate"] = secret.versions[version["VersionId"]]["createdate"]
        return json.dumps(document)
