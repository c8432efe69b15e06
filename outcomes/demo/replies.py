"""What made-up patients say besides their pain now. Pure: the true course and a random source in, an answer out.

All follows from how the patient truly is that day, with noise; every figure here is a working value, as in
`relief_courses`.
"""

from collections.abc import Iterable
from random import Random

from outcomes.demo.relief_courses import SimulatedCourse
from outcomes.questions import CHANGE, MEDICINE, PAIN_AVERAGE, PAIN_NOW, PAIN_WORST, SATISFACTION, WORN_OFF

#: Remarks that want nobody, by language, and how often there is one.
REMARKS = {
    "en": (
        "Thank you for asking.",
        "I walked to the market again.",
        "It is worse when it rains.",
        "Sleeping better.",
    ),
    "es": (
        "Gracias por preguntar.",
        "Ya camino hasta el mercado.",
        "Es peor cuando llueve.",
        "Duermo mejor.",
    ),
}
REMARKED = 0.06
#: Whoever is asked a second question may leave it out; the pain now is always there.
LEFT_OUT = 0.03
#: What is felt of more than one item's pain: how far activity and enjoyment follow it.
FOLLOWS = {"peg.pain": 1.0, "peg.enjoyment": 0.9, "peg.activity": 0.95}


def replies(
    keys: Iterable[str], course: SimulatedCourse, day: float, *, baseline: int, pain: int, rng: Random
) -> dict[str, int]:
    """The answers to the questions `keys` on `day`, of a patient whose pain was `baseline` and is `pain`, each 0–10."""
    given = {PAIN_NOW: pain}
    for key in keys:
        lot, noise = rng.random(), rng.gauss(0, 1)
        if key.startswith("red_flag."):
            given[key] = 0
        elif key == WORN_OFF:
            if 2 * pain > baseline:
                given[key] = 0 if course.works(day) else 2 if lot < 0.15 else 1
        elif key != PAIN_NOW and lot >= LEFT_OUT:
            value = reply(key, course.relief(day), baseline=baseline, pain=pain, noise=noise)
            if value is not None:
                given[key] = value
    return given


def reply(key: str, relief: float, *, baseline: int, pain: int, noise: float) -> int | None:
    """The answer to one question, with `relief` the share of the pain that is truly gone; None to one unknown here."""
    felt = relief + 0.08 * noise
    if key == PAIN_AVERAGE:
        return scale(pain + 0.7 * noise)
    if key == PAIN_WORST:
        return scale(max(pain, pain + 1.3 + 0.8 * noise))
    if key in FOLLOWS:
        return peg(key, relief, baseline=baseline, noise=noise)
    if key == CHANGE:
        return 1 + sum(felt < mark for mark in (0.75, 0.45, 0.2, -0.1, -0.3, -0.5))
    if key == MEDICINE:
        return sum(felt < mark for mark in (0.85, 0.4, -0.1))
    if key == SATISFACTION[0]:
        return 1 + sum(felt >= mark for mark in (0.0, 0.15, 0.35, 0.6))
    if key == SATISFACTION[1]:
        return int(felt >= 0.3)
    return None


def peg(key: str, relief: float, *, baseline: int, noise: float) -> int:
    """One item of the PEG, 0–10, with `relief` of the pain gone; before the procedure 0."""
    return scale(baseline * FOLLOWS[key] * (1 - relief) + 0.9 * noise)


def remark(language: str, rng: Random) -> str:
    """What the patient writes beneath, mostly nothing."""
    return rng.choice(REMARKS.get(language, REMARKS["en"])) if rng.random() < REMARKED else ""


def scale(value: float) -> int:
    """The nearest whole number from 0 to 10."""
    return min(10, max(0, round(value)))
