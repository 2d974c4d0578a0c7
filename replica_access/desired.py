"""What the spec wants of one server: pure values, made from the spec and the names that exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replica_access.model import Pending
from replica_access.names import shown
from replica_access.patterns import Exclusion, is_glob, is_system_schema, matches
from replica_access.spec import GrantSpec, RoleSpec, Spec, UserSpec, valid_until_text


@dataclass(frozen=True, slots=True)
class WantedRole:
    """A role of the spec, as it should stand on the primary.

    :param valid_until: as `ALTER ROLE … VALID UNTIL` takes it; ``None`` where there is no limit.
    :param secret: where the password is kept, for logins that have one.
    """

    name: str
    login: bool
    member_of: tuple[str, ...] = ()
    connection_limit: int = -1
    valid_until: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``[[grants]]`` of the spec, within one database: who reads what, now and in future.

    :param reader: the role that is granted to.
    :param creators: names or ``auto``.
    :param execute: whether functions, procedures and types are meant too.
    """

    reader: str
    schemas: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    creators: tuple[str, ...] | str
    future: bool
    execute: bool = False

    @property
    def everywhere(self) -> bool:
        """Whether schemas that nobody has made yet are meant too."""
        return "*" in self.schemas

    def wants_schema(self, schema: str) -> bool:
        return (
            not is_system_schema(schema)
            and any(matches(schema, pattern) for pattern in self.schemas)
            and not any(exclusion.covers_schema(schema) for exclusion in self.exclusions)
        )

    def excludes_relation(self, schema: str, relation: str) -> bool:
        """Whether `relation` is left out, whole, of a schema that is wanted."""
        return any(exclusion.covers_relation(schema, relation) for exclusion in self.exclusions)

    def wants_relation(self, schema: str, relation: str) -> bool:
        """Whether `relation` is wanted, if not with all its columns."""
        return self.wants_schema(schema) and not self.excludes_relation(schema, relation)

    def wants_routine(self, schema: str, name: str) -> bool:
        """Whether a function, procedure or type is wanted."""
        return self.execute and self.wants_relation(schema, name)

    def looks_at_columns(self, schema: str, relation: str) -> bool:
        """Whether columns of `relation` may be excluded, depending on their names."""
        return any(exclusion.has_column_in(schema, relation) for exclusion in self.exclusions)

    def wanted_columns(self, schema: str, relation: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Return those of `columns` that are wanted; none where `relation` itself is not."""
        if not self.wants_relation(schema, relation):
            return ()
        here = [exclusion for exclusion in self.exclusions if exclusion.has_column_in(schema, relation)]
        return tuple(column for column in columns if not any(e.column and e.column.fits(column) for e in here))


def wanted_columns(rules: Iterable[Rule], schema: str, relation: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Return those of `columns` that any of `rules` wants, in order."""
    wanted = {column for rule in rules for column in rule.wanted_columns(schema, relation, columns)}
    return tuple(column for column in columns if column in wanted)


@dataclass(frozen=True, slots=True)
class UserAccess:
    """What one login should be able to read, through all its groups; the proof tries exactly this.

    :param rules: by database name; a database that is not in it must refuse the login.
    """

    user: str
    rules: Mapping[str, tuple[Rule, ...]]

    def reaches_schema(self, database: str, schema: str) -> bool:
        return any(rule.wants_schema(schema) for rule in self.rules.get(database, ()))

    def reads(self, database: str, schema: str, relation: str) -> bool:
        """Whether it reads `relation`, if not all columns of it."""
        return any(rule.wants_relation(schema, relation) for rule in self.rules.get(database, ()))

    def executes(self, database: str) -> bool:
        return any(rule.execute for rule in self.rules.get(database, ()))

    def uses(self, database: str, schema: str, name: str) -> bool:
        """Whether it uses a function, procedure or type."""
        return any(rule.wants_routine(schema, name) for rule in self.rules.get(database, ()))

    def looks_at_columns(self, database: str, schema: str, relation: str) -> bool:
        """Whether it depends on the columns of `relation` what of it is read."""
        wanting = [rule for rule in self.rules.get(database, ()) if rule.wants_relation(schema, relation)]
        return bool(wanting) and all(rule.looks_at_columns(schema, relation) for rule in wanting)

    def reads_columns(self, database: str, schema: str, relation: str, columns: Sequence[str]) -> tuple[str, ...]:
        """Return those of `columns` that it reads."""
        return wanted_columns(self.rules.get(database, ()), schema, relation, columns)


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything the spec wants of one server.

    :param rules: by database name, in the order of the spec; only databases that exist.
    """

    roles: tuple[WantedRole, ...]
    rules: Mapping[str, tuple[Rule, ...]]
    users: tuple[UserAccess, ...]
    pending: tuple[Pending, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all readers."""
        granted = (rule.reader for rules in self.rules.values() for rule in rules)
        return tuple(dict.fromkeys((*(role.name for role in self.roles), *granted)))

    def groups_of(self, reader: str) -> frozenset[str]:
        """Return the groups that the spec puts `reader` into, directly or through others, itself left out."""
        member_of = {role.name: role.member_of for role in self.roles}
        found, todo = set[str](), [*member_of.get(reader, ())]
        while todo:
            if (group := todo.pop()) not in found:
                found.add(group)
                todo.extend(member_of.get(group, ()))
        return frozenset(found)

    def only(self, database: str) -> Desired:
        """Return what of it is about `database`, and about the roles."""
        return replace(self, rules={name: rules for name, rules in self.rules.items() if name == database}, pending=())


def from_spec(spec: Spec, databases: Iterable[str]) -> Desired:
    """Work out what `spec` wants of a server that has `databases` (templates left out)."""
    existing = tuple(databases)
    rules = {
        database: found
        for database in existing
        if (found := tuple(_rule(grant) for grant in spec.grants if _names(grant, database)))
    }
    return Desired(
        roles=tuple(_roles(spec)),
        rules=rules,
        users=tuple(_access(spec, user, existing) for user in spec.users),
        pending=tuple(_missing_databases(spec, existing)),
    )


def _names(grant: GrantSpec, database: str) -> bool:
    return any(matches(database, pattern) for pattern in grant.databases)


def _rule(grant: GrantSpec) -> Rule:
    return Rule(
        reader=grant.to,
        schemas=grant.schemas,
        exclusions=tuple(Exclusion.parse(text) for text in grant.exclude),
        creators=grant.creators,
        future=grant.future,
        execute="execute" in grant.privileges,
    )


def _access(spec: Spec, user: str, databases: tuple[str, ...]) -> UserAccess:
    grants = tuple(spec.grants_of(user))
    rules = {database: tuple(_rule(grant) for grant in grants if _names(grant, database)) for database in databases}
    return UserAccess(user, {database: found for database, found in rules.items() if found})


def _roles(spec: Spec) -> Iterator[WantedRole]:
    for name in _groups_first(spec.roles):
        role = spec.roles[name]
        yield WantedRole(name, False, role.member_of, settings=role.settings, comment=role.comment)
    for name, user in spec.users.items():
        yield WantedRole(
            name,
            login=True,
            member_of=user.member_of + (("rds_iam",) if user.auth == "iam" else ()),
            connection_limit=user.connection_limit,
            valid_until=valid_until_text(user.valid_until) if user.valid_until else None,
            settings=user.settings,
            comment=user.comment,
            secret=spec.secret_of(name) if user.auth == "password" else None,
        )


def _groups_first(roles: Mapping[str, RoleSpec | UserSpec]) -> Iterator[str]:
    """Yield names so that each comes after the groups it is a member of."""
    done = set[str]()

    def visit(name: str) -> Iterator[str]:
        if name not in done:
            done.add(name)
            for group in roles[name].member_of:
                yield from visit(group)
            yield name

    for name in roles:
        yield from visit(name)


def _missing_databases(spec: Spec, existing: tuple[str, ...]) -> Iterator[Pending]:
    for grant in spec.grants:
        for pattern in grant.databases:
            if not any(matches(database, pattern) for database in existing):
                what = "no database fits this pattern yet" if is_glob(pattern) else "no such database yet"
                reason = f"{what}; {shown(grant.to)} gets its grants there at the next run"
                yield Pending("database", shown(pattern), reason)
