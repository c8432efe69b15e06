"""The demo clinic has tests and trials of every result."""

from datetime import timedelta

from outcomes.demo import making
from outcomes.demo.clinic import build
from outcomes.demo.life import Life
from outcomes.demo.people import invent
from outcomes.models import FollowUp
from outcomes.tests.test_demo import NOW, types

__all__ = ["types"]

#: Ways with a test or a trial, in turn.
WAYS = ("facet", "after_surgery", "pump", "peripheral_stimulator", "root_block")
WANTED = {
    *(("diagnostic", verdict) for verdict in ("positive", "negative", "indeterminate")),
    *(("trial", verdict) for verdict in ("passed", "failed")),
    ("maintenance", "not_judged"),
}


def test_the_demo_has_tests_and_trials_of_every_result(types: None) -> None:
    house = build()
    people = [
        one
        for one in invent(making.SEED, NOW.date(), making.PATIENTS)
        if one.pathway in WAYS and not one.newcomer and one.joined > 100
    ]
    by_way = {way: [one for one in people if one.pathway == way] for way in WAYS}
    rounds = max(map(len, by_way.values()))
    turns = [by_way[way][turn] for turn in range(rounds) for way in WAYS if turn < len(by_way[way])]
    seen: set[tuple[str, str]] = set()
    for person in turns:
        life = Life(person, making.register(person, house, NOW), house, making.SEED, "history")
        today = life.place.day(NOW)
        life.visits.follow(today - timedelta(days=person.joined), today - timedelta(days=3))
        life.play(NOW)
        seen |= set(FollowUp.objects.values_list("procedure__intent", "verdict"))
        if seen >= WANTED:
            return
    raise AssertionError(WANTED - seen)
