"""What a long piece of work tells whoever watches it; the CLI draws it, tests and libraries stay silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by the stages of a workflow; never asked."""

    def stage(self, title: str) -> None:
        """A new stage begins: one short line such as ``checking the network``."""

    def done(self, sentence: str) -> None:
        """Something was finished, and is worth a line of its own."""

    def waiting(self, sentence: str) -> None:
        """Still at it: replaces the previous waiting line."""


class Silent:
    """Nobody watches."""

    def stage(self, title: str) -> None:
        del title

    def done(self, sentence: str) -> None:
        del sentence

    def waiting(self, sentence: str) -> None:
        del sentence


SILENT: Progress = Silent()
