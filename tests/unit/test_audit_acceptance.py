"""What a spec accepts of the findings: by patterns, until a day, and never in silence."""

from __future__ import annotations

from datetime import date

import pytest

from replica_access.audit.acceptance import apart
from replica_access.audit.facts import Facts
from replica_access.audit.judging import judge
from replica_access.errors import SpecError
from replica_access.findings import Finding, NotChecked
from replica_access.spec import Spec, parse

TODAY = date(2026, 11, 23)
SPEC = 'version = 1\n[primary]\ndsn = "host=db"\n'


def spec_with(**entry: str) -> Spec:
    said = {"rule": '"excess-write"', "reason": '"an old tool"', **entry}
    return parse(SPEC + "[[accepted]]\n" + "\n".join(f"{key} = {value}" for key, value in said.items()))


def finding(subject: str = "etl_one", about: str = "app.orders") -> Finding:
    return Finding("excess-write", "high", "db", "app", subject, about, "It may write.", "REVOKE", "etl_one=w")


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        ({}, True),
        ({"rule": '"excess-*"'}, True),
        ({"rule": '"excess-read"'}, False),
        ({"subject": '"etl_*"'}, True),
        ({"subject": '"etl"'}, False),
        ({"object": '"app.*"'}, True),
        ({"object": '"crm.*"'}, False),
        ({"database": '"app"'}, True),
        ({"database": '"crm"'}, False),
        ({"message": '"It may write."'}, True),
        ({"message": '"It may write, drop*"'}, False),
        ({"until": "2026-11-23"}, True),
        ({"until": "2026-11-22"}, False),
    ],
)
def test_an_entry_accepts_what_all_of_it_fits(entry: dict[str, str], accepted: bool) -> None:
    standing, kept = apart([finding()], spec_with(**entry), TODAY)
    assert (len(standing), len(kept)) == (0, 1) if accepted else (1, 0)
    if accepted:
        assert (kept[0].finding, kept[0].reason) == (finding(), "an old tool")


def test_a_name_that_is_displayed_in_quotes_is_matched_as_it_is_too() -> None:
    for subject in ('"two words"', "'two *'", "'\"two words\"'"):
        assert apart([finding('"two words"')], spec_with(subject=subject), TODAY)[0] == []


def test_what_was_accepted_until_a_day_that_is_over_is_due_again_and_says_so() -> None:
    (standing,), _ = apart([finding()], spec_with(until="2026-11-22"), TODAY)
    assert standing.evidence == "etl_one=w; accepted until 2026-11-22, which is over: an old tool"
    assert standing.key == finding().key


def test_an_entry_that_accepts_nothing_is_said_unless_nobody_could_look() -> None:
    facts = Facts(spec_with(rule='"login-*"'), TODAY)
    (stale,) = judge(facts).findings
    assert stale.key == ("accepted-stale", "", "", "accepted[1]", "login-*")
    assert judge(Facts(facts.spec, TODAY, not_checked=(NotChecked("primary", "down"),))).findings == ()
    unknown = judge(Facts(spec_with(rule='"no-such-rule"'), TODAY, not_checked=(NotChecked("primary", "down"),)))
    assert "there is no such rule" in unknown.findings[0].message


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('rule = "login-*"', "spec.toml:4: accepted[1].reason: is missing."),
        ('rule = "login-*"\nreason = ""', "spec.toml:6: accepted[1].reason: is empty; write something"),
        ('rule = "Log in"\nreason = "x"', "spec.toml:5: accepted[1].rule: 'Log in' is no id of a rule; "),
        ('rule = "*"\nsubject = "?*"\nreason = "x"', "accepted[1]: accepts whatever is found; name a rule"),
        ('rule = "login-*"\nreason = "x"\nuntil = "soon"', "spec.toml:7: accepted[1].until: 'soon' is no date"),
        ('rule = "login-*"\nreason = "x"\nrole = "bi"', "spec.toml:7: accepted[1].role: unknown key; allowed here: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_entry_is_said_with_its_place(entry: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(SPEC + "[[accepted]]\n" + entry, "spec.toml")
    assert said in caught.value.what


def test_what_was_not_looked_at_is_told_in_one_order_whichever_thread_was_first() -> None:
    spec = spec_with(rule='"login-*"')
    missed = (NotChecked("primary", "down"), NotChecked("AWS", "denied"), NotChecked("AWS", "denied"))
    assert judge(Facts(spec, TODAY, not_checked=missed)) == judge(Facts(spec, TODAY, not_checked=missed[::-1]))
