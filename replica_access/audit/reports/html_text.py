"""How text gets into the page: as text, whatever it is."""

from __future__ import annotations

import html
import json
from typing import Any


def text(value: str) -> str:
    """Return `value` so that it is that text anywhere in the page, in an attribute too."""
    return html.escape(value.encode("utf-8", "backslashreplace").decode(), quote=True)


def data(document: Any) -> str:
    """Return JSON that no HTML parser takes for anything else: it has neither ``<`` nor ``>`` nor ``&``.

    >>> data({"name": "</script><!--"})
    '{"name": "\\\\u003c/script\\\\u003e\\\\u003c!--"}'
    """
    encoded = json.dumps(document, ensure_ascii=True)
    return encoded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
