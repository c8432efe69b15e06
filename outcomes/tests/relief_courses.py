"""Courses of relief for the pure judgement: one as it is told, and any."""

from dataclasses import replace

from hypothesis import strategies as st

from outcomes.relief import Course, Reading

scores = st.integers(0, 10)


def facet_course(
    baseline: int | None, *readings: tuple[int, int], silent: tuple[int, ...] = (), **more: object
) -> Course:
    """A facet ablation: judged from day 42, expected to end between days 180 and 365."""
    facts: dict[str, object] = {"evaluate_after": 42, "window_from": 180, "window_until": 365} | more
    return Course(baseline, [Reading(*reading) for reading in readings], silent, **facts)  # type: ignore[arg-type]


def in_order(readings: list[Reading]) -> list[Reading]:
    return sorted(readings, key=lambda reading: reading.at)


def with_a_repeat(readings: list[Reading], repeated: bool) -> list[Reading]:
    """The same, the last one perhaps the pain before a repeat."""
    return [*readings[:-1], replace(readings[-1], before_treatment=repeated)] if readings else []


any_course = st.builds(
    Course,
    baseline=st.none() | scores,
    readings=st.builds(
        with_a_repeat,
        st.lists(st.builds(Reading, st.integers(0, 800), scores, st.booleans()), max_size=8).map(in_order),
        st.booleans(),
    ),
    silent=st.lists(st.integers(0, 800), max_size=4).map(sorted),
    evaluate_after=st.just(42),
    window_from=st.just(180),
    window_until=st.just(365),
    success_percent=st.sampled_from([50, 75, 80]),
    confounded=st.booleans(),
    half_is_loss=st.booleans(),
    useless_at=st.none() | st.integers(800, 900),
)
