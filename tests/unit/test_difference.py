"""What changed between two runs, in sentences; and what counts as new."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_access.audit.difference import Difference, differences, in_order, new_since
from replica_access.audit.snapshot import entries_of
from replica_access.findings import Accepted, Audit, Finding, NotChecked

FOUND = Finding(
    "readers-write", "high", "prod-db", "app", "bi", "app.orders", "bi may write to app.orders", "REVOKE …", "bi=w/own"
)
NOTHING = Audit()


def changed(before: Audit, after: Audit) -> tuple[Difference, ...]:
    former, latter = entries_of(before), entries_of(after)
    found = differences(
        [entry for digest, entry in latter.items() if digest not in former],
        [entry for digest, entry in former.items() if digest not in latter],
    )
    return in_order(found)


@pytest.mark.parametrize(
    ("before", "after", "turn", "sentence"),
    [
        (NOTHING, Audit((FOUND,)), "new", "bi may write to app.orders"),
        (Audit((FOUND,)), NOTHING, "gone", "no longer found: bi may write to app.orders"),
        (
            Audit((FOUND,)),
            Audit(accepted=(Accepted(FOUND, "loads at night", "2027-01-31"),)),
            "accepted",
            "accepted until 2027-01-31 (loads at night): bi may write to app.orders",
        ),
        (
            NOTHING,
            Audit(accepted=(Accepted(FOUND, "loads at night", ""),)),
            "accepted",
            "accepted (loads at night): bi may write to app.orders",
        ),
        (
            Audit(accepted=(Accepted(FOUND, "loads at night", ""),)),
            Audit((FOUND,)),
            "due",
            "no longer accepted: bi may write to app.orders",
        ),
        (
            Audit(accepted=(Accepted(FOUND, "loads at night", ""),)),
            NOTHING,
            "gone",
            "no longer found: bi may write to app.orders",
        ),
        (
            Audit((FOUND,)),
            Audit((replace(FOUND, evidence="bi=wd/own"),)),
            "changed",
            "bi may write to app.orders (evidence was: bi=w/own)",
        ),
        (
            Audit((replace(FOUND, severity="low", evidence="bi=a/own"),)),
            Audit((FOUND,)),
            "changed",
            "bi may write to app.orders (severity was: low)",
        ),
        (
            NOTHING,
            Audit(not_checked=(NotChecked("database app", "no connection"),)),
            "unknown",
            "database app could not be looked at: no connection",
        ),
        (
            Audit(not_checked=(NotChecked("database app", "no connection"),)),
            Audit(not_checked=(NotChecked("database app", "no permission"),)),
            "unknown",
            "database app could still not be looked at, now because no permission",
        ),
        (
            Audit(not_checked=(NotChecked("database app", "no connection"),)),
            NOTHING,
            "known",
            "database app could be looked at again",
        ),
    ],
)
def test_each_turn_has_its_sentence(before: Audit, after: Audit, turn: str, sentence: str) -> None:
    (difference,) = changed(before, after)
    assert (difference.turn, difference.sentence) == (turn, sentence)


def test_what_an_incomplete_run_did_not_find_may_be_there_all_the_same() -> None:
    (difference,) = differences([], entries_of(Audit((FOUND,))).values(), unseen=1)
    assert difference.turn == "gone"
    assert difference.sentence.startswith("no longer found, by a run that could not look at everything: bi may write")


def test_nothing_is_said_of_what_stayed() -> None:
    assert changed(Audit((FOUND,)), Audit((FOUND,))) == ()


def test_a_remedy_that_names_another_day_is_no_change() -> None:
    tomorrow = replace(FOUND, remedy="until the day after tomorrow")
    assert changed(Audit((FOUND,)), Audit((tomorrow,))) == ()
    assert changed(*(Audit(accepted=(Accepted(each, "for now", ""),)) for each in (FOUND, tomorrow))) == ()


def test_an_accepted_finding_that_is_more_than_it_was_is_told() -> None:
    more = replace(FOUND, message="bi may write and drop")
    (told,) = changed(*(Audit(accepted=(Accepted(each, "for now", ""),)) for each in (FOUND, more)))
    assert told.turn == "changed"
    assert told.sentence.startswith("accepted, and not as it was: bi may write and drop (message was: ")


def test_the_gravest_is_said_first() -> None:
    low, info = replace(FOUND, severity="low", subject="etl"), replace(FOUND, severity="info", subject="app")
    found = changed(Audit((replace(FOUND, database="else"),)), Audit((info, low, FOUND)))
    assert [(each.turn, each.severity) for each in found] == [
        ("new", "high"),
        ("new", "low"),
        ("new", "info"),
        ("gone", "high"),
    ]


def test_the_same_in_another_database_is_another_finding() -> None:
    assert [each.turn for each in changed(Audit((FOUND,)), Audit((replace(FOUND, database=None),)))] == ["new", "gone"]


def test_new_is_what_the_last_run_did_not_find_or_not_like_that() -> None:
    former = (FOUND, replace(_of("dev"), message="dev may write a little"), replace(_of("old"), severity="low"))
    before = entries_of(Audit(former, accepted=(Accepted(_of("etl"), "for now", ""),)))
    now = Audit((replace(FOUND, evidence="others", remedy="others"), *map(_of, ("dev", "etl", "old", "ops"))))
    assert [finding.subject for finding in new_since(before.values(), now)] == ["dev", "etl", "old", "ops"]
    assert new_since([], now) == now.findings


def _of(subject: str) -> Finding:
    return replace(FOUND, subject=subject)
