"""The `aws` commands that a fix consists of, complete: with Region and profile, quoted for a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Commands:
    """Writes commands for one Region and, where the spec names one, one profile.

    Words in capitals in what it writes are for the reader to fill in.
    """

    region: str
    profile: str | None = None

    def in_region(self, region: str) -> Commands:
        return Commands(region, self.profile)

    def kms(self, *words: str) -> str:
        return self._line("kms", *words)

    def ec2(self, *words: str) -> str:
        return self._line("ec2", *words)

    def rds(self, *words: str, instance: str | None = None) -> str:
        return self._line("rds", *words, *(("--db-instance-identifier", instance) if instance else ()))

    def modify(self, instance: str, *words: str) -> str:
        return self._line(
            "rds", "modify-db-instance", "--db-instance-identifier", instance, *words, "--apply-immediately"
        )

    def route(self, table: str, gateway: str) -> str:
        """Write what makes the subnets of `table` public."""
        return self.ec2("create-route", "--route-table-id", table, "--destination-cidr-block", "0.0.0.0/0",
                        "--gateway-id", gateway)  # fmt: skip

    def secret(self, *words: str) -> str:
        return self._line("secretsmanager", *words)

    def _line(self, *words: str) -> str:
        profile = ("--profile", self.profile) if self.profile else ()
        return shlex.join(("aws", *words, "--region", self.region, *profile))
