from __future__ import annotations

from tests.sandbox_fixtures import sandbox

__all__ = ["sandbox"]
