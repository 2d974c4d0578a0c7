"""One database of one server as an audit judges it: who may do what there, and what the spec wants of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from replica_access.audit.effective import Access
from replica_access.catalog import Entry, Role
from replica_access.desired import Desired, Rule, wanted_columns
from replica_access.model import PUBLIC, Oid
from replica_access.names import shown
from replica_access.patterns import is_system_schema, matches
from replica_access.rights import RELATIONS, SHARED, Kind, Objects, Rights, Use

NOTHING: frozenset[str] = frozenset()

ClassOf = Callable[[Objects, str], str]
"""Which class a privilege on objects is of, in a family of rules."""


@dataclass(frozen=True)
class Realm:
    """
    :param server: the name people know it by.
    :param first: whether what the server's databases share is judged here: once a server.
    """

    server: str
    rights: Rights
    desired: Desired
    first: bool

    @cached_property
    def access(self) -> Access:
        return Access(self.rights)

    @cached_property
    def readers(self) -> Mapping[Oid, Role]:
        """The roles of the spec that are there."""
        found = (self.rights.role(name) for name in self.desired.names)
        return {role.oid: role for role in found if role is not None}

    def rules(self, reader: Oid) -> tuple[Rule, ...]:
        """Return what is granted to `reader` itself in this database."""
        return self._rules.get(reader, ())

    @cached_property
    def _rules(self) -> Mapping[Oid, tuple[Rule, ...]]:
        here = self.desired.rules.get(self.rights.database, ())
        return {
            oid: found
            for oid, role in self.readers.items()
            if (found := tuple(rule for rule in here if rule.reader == role.name))
        }

    @property
    def granted_to(self) -> frozenset[Oid]:
        """Who is granted something in this database, and not only in a group that is."""
        return frozenset(self._rules)

    @cached_property
    def objects(self) -> tuple[Objects, ...]:
        """All that is judged here: what databases share is so in the first realm alone."""
        return tuple(objects for objects in self.rights.objects if self.first or objects.kind not in SHARED)

    @cached_property
    def judged(self) -> tuple[Objects, ...]:
        """What somebody has made: not what came with the server."""
        return tuple(
            objects
            for objects in self.objects
            if not (objects.installed and objects.is_default)
            and not objects.catalog
            and not is_system_schema(objects.schema)
            and not (objects.kind == "schema" and all(map(is_system_schema, objects.names)))
        )

    def to_readers(self, class_of: ClassOf) -> Mapping[str, Sequence[tuple[Objects, Oid, Sequence[Entry]]]]:
        """Return what readers were granted on which objects, by its class; empty for objects of their own.

        A family of rules asks for the same classes again and again: they are worked out once.
        """
        if class_of not in self._to_readers:
            found: dict[str, list[tuple[Objects, Oid, Sequence[Entry]]]] = {}
            for objects in self.objects:
                by_reader: dict[tuple[str, Oid], list[Entry]] = {}
                for entry in self.granted(objects):
                    place = class_of(objects, entry.privilege), entry.grantee
                    by_reader.setdefault(place, []).append(entry)
                for (which, reader), entries in by_reader.items():
                    found.setdefault(which, []).append((objects, reader, entries))
            self._to_readers[class_of] = found
        return self._to_readers[class_of]

    @cached_property
    def _to_readers(self) -> dict[ClassOf, Mapping[str, Sequence[tuple[Objects, Oid, Sequence[Entry]]]]]:
        return {}

    def to_public(self, class_of: ClassOf) -> Mapping[str, Sequence[tuple[Objects, Sequence[Entry]]]]:
        """Return what PUBLIC was granted on which objects that somebody has made, by its class; as `to_readers`."""
        if class_of not in self._to_public:
            found: dict[str, list[tuple[Objects, Sequence[Entry]]]] = {}
            for objects in self.judged:
                by_class: dict[str, list[Entry]] = {}
                for entry in objects.entries:
                    if entry.grantee == PUBLIC:
                        by_class.setdefault(class_of(objects, entry.privilege), []).append(entry)
                for which, entries in by_class.items():
                    found.setdefault(which, []).append((objects, entries))
            self._to_public[class_of] = found
        return self._to_public[class_of]

    @cached_property
    def _to_public(self) -> dict[ClassOf, Mapping[str, Sequence[tuple[Objects, Sequence[Entry]]]]]:
        return {}

    def granted(self, objects: Objects) -> Iterator[Entry]:
        """Yield the entries of an ACL that give something to a reader that is not the owner."""
        return (e for e in objects.entries if e.grantee in self.readers and e.grantee != objects.owner)

    def takes_all(self, reader: Oid, schema: str) -> bool:
        """Whether the spec gives `reader` every relation of `schema`, whole: then no name has to be looked at."""
        place = reader, schema
        if place not in self._taken_whole:
            self._taken_whole[place] = any(
                rule.wants_schema(schema)
                and not any(e.relation is not None and e.schema.fits(schema) for e in rule.exclusions)
                for rule in self.rules(reader)
            )
        return self._taken_whole[place]

    def is_excluded(self, reader: Oid, schema: str, name: str) -> bool:
        """Whether the spec would give `reader` the relation, and leaves it out, alone or with its schema."""
        rules = [rule for rule in self.rules(reader) if any(matches(schema, pattern) for pattern in rule.schemas)]
        return bool(rules) and not any(rule.wants_relation(schema, name) for rule in rules)

    def left_out(self, reader: Oid, use: Use) -> tuple[str, ...]:
        """Return what of `use` the spec leaves out for `reader`, as it is displayed: the relation, or columns of it."""
        if self.is_excluded(reader, use.schema, use.relation):
            return (shown(use.schema, use.relation),)
        wanting = [rule for rule in self.rules(reader) if rule.wants_relation(use.schema, use.relation)]
        if not wanting or not all(rule.looks_at_columns(use.schema, use.relation) for rule in wanting):
            return ()
        wanted = wanted_columns(wanting, use.schema, use.relation, use.columns)
        return tuple(shown(use.schema, use.relation, column) for column in use.columns if column not in wanted)

    @cached_property
    def _taken_whole(self) -> dict[tuple[Oid, str], bool]:
        return {}

    def kept(self, reader: Oid, objects: Objects, name: str) -> frozenset[str]:
        """Return what the spec lets `reader` hold, by a grant of its own, on the one of `objects` that has this name.

        Of relations of which it excludes columns this is SELECT too: which columns there are, the plan knows.
        """
        rules, kind = self.rules(reader), objects.kind
        if kind == "database":
            granted = self.desired.rules.get(name, ())
            return frozenset({"CONNECT"}) if self.rights.roles[reader].name in {r.reader for r in granted} else NOTHING
        if kind == "schema":
            return frozenset({"USAGE"}) if any(rule.wants_schema(name) for rule in rules) else NOTHING
        if kind in RELATIONS:
            wanted = any(rule.wants_relation(objects.schema, name) for rule in rules)
            return frozenset({"SELECT"}) if wanted else NOTHING
        if kind == "column":
            return frozenset({"SELECT"}) if wanted_columns(rules, objects.schema, objects.relation, [name]) else NOTHING
        if kind in {"function", "procedure", "type", "domain"}:
            wanted = any(rule.wants_routine(objects.schema, _bare(name, kind)) for rule in rules)
            needed = "EXECUTE" if kind in {"function", "procedure"} else "USAGE"
            return frozenset({needed}) if wanted else NOTHING
        return NOTHING


def _bare(name: str, kind: Kind) -> str:
    """Return the name alone: a routine is known by that, as SQL writes it, and the types of its arguments.

    >>> _bare('"odd (""name"")"(integer)', "function"), _bare("plain(text)", "procedure"), _bare("odd(", "type")
    ('odd ("name")', 'plain', 'odd(')
    """
    if kind not in {"function", "procedure"}:
        return name
    quoted = re.match(r'"((?:[^"]|"")*)"', name)
    return quoted[1].replace('""', '"') if quoted else name.partition("(")[0]
