"""moto's Secrets Manager, made to refuse a name whose secret is waiting for its deletion."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager import urls as moto_urls
from moto.secretsmanager.exceptions import InvalidRequestException
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
