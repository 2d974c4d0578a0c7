"""The page around what it shows: its policy, its style and its script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from importlib.resources import files
from typing import Any

from replica_access.audit.reports.html_text import data, text


def page(title: str, head: str, sections: Iterable[str], document: Any) -> str:
    """Return the page.

    :param head: what is in its header, and `sections` what is in its main part, as HTML.
    :param document: what the script reads.
    """
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    return "\n".join([
        "<!DOCTYPE html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{text(title)}</title>",
        f"<style>{style}</style>",
        '<a class="skip" href="#findings">To the findings</a>',
        f"<header>{head}</header>",
        f"<main>{''.join(sections)}</main>",
        f'<script type="application/json" id="data">{data(document)}</script>',
        f"<script>{script}</script>",
        "</html>",
        "",
    ])  # fmt: skip


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source(code: str) -> str:
    """Return what names `code` in a policy: its hash."""
    return f"sha256-{b64encode(sha256(code.encode()).digest()).decode()}"
