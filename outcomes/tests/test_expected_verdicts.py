"""The table of expected verdicts, docs/verdicts.md, against the code: one test a row."""

import re
from pathlib import Path
from typing import Any

import pytest

from outcomes.diary_result import DiaryEntry, result
from outcomes.relief import Course, Reading, judge
from outcomes.relief_end import lasting
from outcomes.trial_result import Score
from outcomes.trial_result import result as trial_result

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
#: First judged day, first and last day of the relief window.
WINDOWS: dict[str, dict[str, Any]] = {
    "RFA": {"evaluate_after": 42, "window_from": 180, "window_until": 365},
    "ESI": {"evaluate_after": 14, "window_from": 21, "window_until": 180},
    "joint": {"evaluate_after": 14, "window_from": 21, "window_until": 90},
    "trigger point": {"evaluate_after": 7, "window_from": 14, "window_until": 60},
    "adhesiolysis": {"evaluate_after": 28, "window_from": 60, "window_until": 180},
    "SCS": {"evaluate_after": 90, "window_from": 180, "window_until": 1825, "ongoing": True},
}
TOKEN = re.compile(
    r"(?P<what>report |repeat |other |device out |transferred )?(?P<day>\d+)(:(?P<score>\d+|–|\?))?"
    r"(?P<worn> worn off)?( since (?P<since>\d+))?\s*"
)
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if re.match(r"\| \d+ \|", line)
]
#: The tests below the courses: an entry is an hour with its pain, and whether medicine had been taken by then.
TESTS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if re.match(r"\| T\d+ \|", line)
]
#: The trials below the tests.
TRIALS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if re.match(r"\| R\d+ \|", line)
]
ASKED = [30, 60, 120, 180, 240, 300, 360, 480, 720, 1440]
ENTRY = re.compile(r"(?P<hour>[\d.]+):(?P<score>\d+)(?P<medicine> medicine)?\s*")


def read(procedure: str, before: str, told: str) -> Course:
    """The course that a row tells."""
    readings, silent, facts = [], [], dict(WINDOWS[procedure])
    assert not TOKEN.sub("", told), told
    for match in TOKEN.finditer(told):
        what, day, score = (match["what"] or "").strip(), int(match["day"]), match["score"] or ""
        since = int(match["since"]) if match["since"] else None
        if score == "–":
            silent.append(day)
        elif score.isdigit():
            readings.append(
                Reading(
                    day,
                    int(score),
                    worn_off=bool(match["worn"]) or since is not None,
                    before_treatment=what in ("repeat", "other"),
                    reported=what == "report",
                    ended_on=since,
                )
            )
        if what in ("repeat", "other", "device out", "transferred"):
            facts["ended"] = True
        if what == "repeat":
            facts["repeated_at"] = day
        if what == "device out":
            facts["useless_at"] = day
        facts["other_treatment"] = what == "other"
    return Course(None if before == "?" else int(before), readings, silent, **facts)


def test_the_page_has_enough_rows_and_numbers_them() -> None:
    assert len(ROWS) >= 60
    assert [int(row[0]) for row in ROWS] == list(range(1, len(ROWS) + 1))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_verdict(row: list[str]) -> None:
    _number, procedure, before, told, verdict, ended, remarks, _why = row
    course = read(procedure, before, told)
    judgement = judge(course)
    loss = judgement.loss or judgement.suspected
    between = f"{loss.after}–{loss.until}{'' if judgement.loss else ' ?'}" if loss else ""
    said = " ".join(" ".join([remark.note.value, *map(str, remark.at)]) for remark in judgement.remarks)
    assert (judgement.verdict.value, between, said) == (verdict, ended, remarks)
    seen = lasting(course, judgement)
    if loss:
        assert seen
        assert (seen.after, seen.ended_by) == (loss.after, loss.until), "the curve says the same"
    assert len(judgement.reason) < 500


@pytest.mark.parametrize("row", TESTS, ids=[row[0] for row in TESTS])
def test_result_of_a_test(row: list[str]) -> None:
    _number, before, told, outcome, covered, _why = row
    assert not ENTRY.sub("", told), told
    entries = {
        int(float(match["hour"]) * 60): DiaryEntry(int(match["score"]), took_medicine=bool(match["medicine"]))
        for match in ENTRY.finditer(told)
    }
    found = result(entries, hours=ASKED, baseline=int(before), percent=75, window_from=120, window_until=720)
    shown = (found.outcome.value, f"{found.covered_percent} %") if found else ("no_baseline", "")
    assert shown == (outcome, covered)


def test_there_are_trials() -> None:
    assert len(TRIALS) == 10


@pytest.mark.parametrize("row", TRIALS, ids=[row[0] for row in TRIALS])
def test_each_trial_is_judged_as_the_page_says(row: list[str]) -> None:
    _, planned, told, out, outcome, known, relief, _ = row
    days = [int(day) for day in planned.split()]
    scores = []
    for entry in told.split():
        day, score = (int(part) for part in entry.split(":"))
        scores.append(Score(day, score, max((before for before in days if before < day), default=0)))
    found = trial_result(
        scores,
        baseline=8,
        percent=50,
        days_percent=50,
        until=int(out) if out else None,
        open_still=False,
    )
    assert (found.outcome, found.known, found.relief) == (outcome, int(known), int(relief))
