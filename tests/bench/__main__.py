"""``python -m tests.bench``: figures, as ratios within one run, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from tests.bench import audit, grants, peers, proof, startup
from tests.bench.figures import Figure, head, row
from tests.bench.stage import SIZES, opened

TARGETS_ARE_FOR = ("M", "L")
CHAPTERS = ("startup", "grants", "proof", "audit")
ASKED_FOR = ("peers",)


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what was made goes
    if not options.json:
        print(*head(), sep="\n", flush=True)
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="replica-access-bench-") as directory:
        for measured_figure in measured(options, Path(directory)):
            figure = measured_figure if options.size in TARGETS_ARE_FOR else replace(measured_figure, target="")
            found.append(figure)
            if not options.json:
                print(row(figure), flush=True)  # a run on L that is stopped has said what it had
    if options.json:
        about = {"size": options.size, "processors": os.cpu_count(), "python": platform.python_version()}
        figures = [figure.document() for figure in found]
        json.dump({"schema": "replica-access/bench/1", **about, "figures": figures}, sys.stdout, indent=2)
        print()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    sizes = ", ".join(f"{size} {schemas} x {tables}" for size, (schemas, tables) in SIZES.items())
    parser.add_argument("--size", choices=SIZES, default="M", help=f"schemas x tables: {sizes}; default: M")
    parser.add_argument("--large", action="store_const", const="L", dest="size", help="the same as --size L")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run; the best counts; default: 3")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    known = ", ".join((*CHAPTERS, *ASKED_FOR))
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"which of {known}; default: all but peers")
    options = parser.parse_args()
    if unknown := set(options.chapters) - {*CHAPTERS, *ASKED_FOR}:
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}; there are {known}")
    options.chapters = options.chapters or list(CHAPTERS)
    return options


def measured(options: argparse.Namespace, directory: Path) -> Iterator[Figure]:
    if "startup" in options.chapters:
        yield from startup.figures(directory, options.rounds)
    on_a_server = [chapter for chapter in (grants, peers, proof, audit) if _name(chapter) in options.chapters]
    if on_a_server:
        with opened(directory, options.size) as stage:
            for chapter in on_a_server:
                yield from chapter.figures(stage, options.rounds)


def _name(chapter: ModuleType) -> str:
    return chapter.__name__.rpartition(".")[2]


if __name__ == "__main__":
    main()
