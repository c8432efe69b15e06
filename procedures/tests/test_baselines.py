"""Several scores from before a procedure: which one counts, that it is kept, and that it can be corrected."""

import re
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from clinic.models import AuditEvent, User
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.baselines import BaselineScore, RecordedScore, Source, resolve
from procedures.models import Appointment, Baseline, Procedure
from procedures.tests.factories import World

NEW_YORK = ZoneInfo("America/New_York")
DONE = datetime(2027, 3, 15, 14, 0, tzinfo=UTC)  # ten in the morning in New York


def ago(**spans: float) -> datetime:
    return DONE - timedelta(**spans)


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ([], None),
        ([(ago(hours=1), 7)], (7, Source.DAY_OF)),
        ([(ago(days=3), 5), (ago(hours=1), 7)], (7, Source.DAY_OF)),
        ([(ago(hours=1), 7), (ago(hours=3), 6)], (7, Source.DAY_OF)),  # the latest of the day
        ([(DONE, 8), (ago(hours=1), 7)], (8, Source.DAY_OF)),
        ([(DONE + timedelta(minutes=1), 2)], None),  # after the procedure it is none
        ([(DONE + timedelta(minutes=1), 2), (ago(days=9), 6)], (6, Source.EARLIER)),
        ([(ago(days=20), 5), (ago(days=9), 6)], (6, Source.EARLIER)),
        ([(ago(days=30), 6)], (6, Source.EARLIER)),
        ([(ago(days=31), 6)], None),
        ([(ago(hours=10, minutes=1), 6)], (6, Source.EARLIER)),  # one minute before midnight in New York
        ([(ago(hours=10), 6)], (6, Source.DAY_OF)),
        ([(ago(hours=1), 0)], (0, Source.DAY_OF)),  # 0 is a score
    ],
)
def test_which_score_counts(noted: list[tuple[datetime, int]], expected: tuple[int, Source] | None) -> None:
    used = resolve([RecordedScore(*row) for row in noted], performed_at=DONE, zone=NEW_YORK)
    assert (used and (used.value, used.source)) == expected


@given(
    st.lists(
        st.builds(RecordedScore, st.integers(-50_000, 500).map(lambda m: ago(minutes=-m)), st.integers(0, 10))
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_does_not_matter_and_nothing_is_made_up(noted: list[RecordedScore], random: Random) -> None:
    used = resolve(noted, performed_at=DONE, zone=NEW_YORK)
    random.shuffle(noted)
    assert resolve(noted, performed_at=DONE, zone=NEW_YORK) == used
    if used:
        assert RecordedScore(used.taken_at, used.value) in noted
        assert used.taken_at <= DONE
        later = [
            recorded_score for recorded_score in noted if used.taken_at < recorded_score.taken_at <= DONE
        ]
        assert not later


@pytest.fixture
def booked(world: World) -> Appointment:
    return services.book(world.appointment(), by=world.clerk, now=world.now)


@pytest.fixture
def manager(world: World) -> User:
    """Who may look and not note."""
    return staff("manager@example.org", "Manager", world.site)


def note(world: World, appointment: Appointment, score: int, at: datetime, **more: int) -> list[Baseline]:
    values = {"nrs.now": score, **{f"peg.{item}": value for item, value in more.items()}}
    return services.note_baseline(
        appointment.pk, values=values, taken_at=at, by=world.nurse, now=max(at, world.now)
    )


def perform(world: World, appointment: Appointment, pain: int | None = None, **more: int) -> Procedure:
    done = world.at(MONDAY, 9, 30)
    record = services.Performed(performed_at=done, baseline_pain=pain, baselines=more)
    services.perform(appointment.pk, record, by=world.physician, now=done + timedelta(hours=1))
    return Procedure.objects.get(appointment=appointment)


def kept(procedure: Procedure) -> BaselineScore | None:
    procedure.refresh_from_db()
    if procedure.baseline_pain is None or procedure.baseline_taken_at is None:
        assert (procedure.baseline_pain, procedure.baseline_taken_at, procedure.baseline_source) == (
            None,
            None,
            "",
        )
        return None
    return BaselineScore(
        procedure.baseline_pain, procedure.baseline_taken_at, Source(procedure.baseline_source)
    )


def test_the_procedure_keeps_which_score_was_used(world: World, booked: Appointment) -> None:
    friday, morning = world.at(MONDAY, 9) - timedelta(days=3), world.at(MONDAY, 9)
    note(world, booked, 5, friday, pain=6)
    note(world, booked, 7, morning)
    procedure = perform(world, booked)
    assert kept(procedure) == BaselineScore(7, morning, Source.DAY_OF)
    assert set(Baseline.objects.values_list("instrument", "item", "value")) == {
        ("nrs", "now", 5), ("nrs", "now", 7), ("peg", "pain", 6)
    }  # fmt: skip
    used = services.baselines_of(booked, performed_at=procedure.performed_at)
    assert used["peg.pain"] == BaselineScore(6, friday, Source.EARLIER)


def test_an_earlier_score_counts_when_nobody_asked_on_the_day(world: World, booked: Appointment) -> None:
    friday = world.at(MONDAY, 9) - timedelta(days=3)
    note(world, booked, 5, friday)
    assert kept(perform(world, booked)) == BaselineScore(5, friday, Source.EARLIER)


def test_what_the_record_says_is_the_score_of_the_day(world: World, booked: Appointment) -> None:
    note(world, booked, 5, world.at(MONDAY, 9))
    procedure = perform(world, booked, 8, **{"peg.activity": 9})
    assert kept(procedure) == BaselineScore(8, procedure.performed_at, Source.DAY_OF)
    assert Baseline.objects.get(item="activity").taken_at == procedure.performed_at


def test_without_any_score_there_is_none(world: World, booked: Appointment) -> None:
    assert kept(perform(world, booked)) is None


def test_a_score_moves_with_a_rescheduled_appointment(world: World, booked: Appointment) -> None:
    note(world, booked, 6, world.now)
    moved = services.reschedule(
        booked.pk, starts_at=world.at(MONDAY, 9, 15), by=world.clerk, now=world.now + timedelta(minutes=1)
    )
    assert kept(perform(world, moved)) == BaselineScore(6, world.now, Source.EARLIER)


def test_noting_the_same_twice_changes_nothing_and_another_value_replaces_it(
    world: World, booked: Appointment
) -> None:
    at = world.now
    first = note(world, booked, 6, at)
    assert note(world, booked, 6, at) == first
    assert AuditEvent.objects.filter(action="baseline.noted").count() == 1
    note(world, booked, 4, at)
    row = Baseline.objects.get()
    assert row.value == 4
    assert list(row.events.order_by("pgh_id").values_list("value", flat=True)) == [6, 4]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"nrs.now": 11}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": -1}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": True}, "score_out_of_range", "nrs.now"),
        ({"nrs.now": 5.5}, "score_out_of_range", "nrs.now"),
        ({"peg.pain": "7"}, "score_out_of_range", "peg.pain"),
        ({"pgic.change": 1}, "unknown_item", "pgic.change"),
        ({}, "item_missing", "nrs.now"),
    ],
)
def test_what_is_no_score_is_refused_and_nothing_is_half_saved(
    world: World, booked: Appointment, values: dict[str, int], code: str, field: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        services.note_baseline(
            booked.pk, values={"peg.activity": 3, **values} if values else {}, taken_at=world.now, by=world.nurse,
            now=world.now,
        )  # fmt: skip
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert not Baseline.objects.exists()


def test_when_and_by_whom_a_score_can_be_noted(world: World, booked: Appointment, manager: User) -> None:
    def refused(at: datetime, **values: int) -> str | None:
        with pytest.raises(Refusal) as refusal:
            services.note_baseline(booked.pk, values=values, taken_at=at, by=world.nurse, now=later)
        return refusal.value.code

    later = world.at(MONDAY, 12)
    with pytest.raises(PermissionDenied):
        services.note_baseline(booked.pk, values={"nrs.now": 5}, taken_at=later, by=manager, now=later)
    assert refused(later + timedelta(minutes=1), **{"nrs.now": 5}) == "in_the_future"
    procedure = perform(world, booked, 7)
    assert refused(procedure.performed_at, **{"nrs.now": 5}) == "performed_already"
    assert refused(procedure.performed_at + timedelta(minutes=1), **{"peg.pain": 5}) == "performed_already"
    # The PEG of that morning may be typed in from paper afterwards.
    services.note_baseline(
        booked.pk, values={"peg.pain": 5}, taken_at=world.at(MONDAY, 9), by=world.clerk, now=later
    )
    services.void(procedure.pk, reason="Another patient", by=world.physician, now=later)
    assert refused(world.at(MONDAY, 9), **{"peg.pain": 6}) == "not_allowed_now"


def correct(world: World, procedure: Procedure, pain: int | None, **more: object) -> Procedure:
    facts: dict[str, object] = {
        "reason": "Typed wrongly",
        "by": world.physician,
        "now": world.at(MONDAY, 9) + timedelta(days=60),
    }
    return services.correct_baseline(procedure.pk, pain=pain, **facts | more)  # type: ignore[arg-type]


def test_a_corrected_score_keeps_its_time_unless_told(world: World, booked: Appointment) -> None:
    friday = world.at(MONDAY, 9) - timedelta(days=3)
    note(world, booked, 5, friday)
    procedure = perform(world, booked)
    correct(world, procedure, 6)
    assert kept(procedure) == BaselineScore(6, friday, Source.EARLIER)
    correct(world, procedure, 7, taken_at=world.at(MONDAY, 9))
    assert kept(procedure) == BaselineScore(7, world.at(MONDAY, 9), Source.DAY_OF)
    events = AuditEvent.objects.filter(action="procedure.baseline_corrected").count()
    correct(world, procedure, 7)  # the same once more
    assert AuditEvent.objects.filter(action="procedure.baseline_corrected").count() == events


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"pain": 11}, "score_out_of_range"),
        ({"pain": True}, "score_out_of_range"),
        ({"reason": " "}, "reason_required"),
        ({"taken_at": timedelta(minutes=1)}, "after_procedure"),
        ({"taken_at": -timedelta(days=31)}, "too_old"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(
    world: World, booked: Appointment, facts: dict[str, object], code: str
) -> None:
    procedure = perform(world, booked, 7)
    given: dict[str, object] = {"pain": 5} | facts
    if isinstance(given.get("taken_at"), timedelta):
        given["taken_at"] = procedure.performed_at + given["taken_at"]  # type: ignore[operator]
    with pytest.raises(Refusal) as refusal:
        correct(world, procedure, **given)  # type: ignore[arg-type]
    assert refusal.value.code == code
    assert kept(procedure) == BaselineScore(7, procedure.performed_at, Source.DAY_OF)


def test_a_corrected_time_takes_its_score_along(world: World, booked: Appointment) -> None:
    note(world, booked, 5, world.now)
    note(world, booked, 7, world.at(MONDAY, 9, 20))
    procedure = perform(world, booked)

    def moved(to: datetime) -> BaselineScore | None:
        services.correct_time(
            procedure.pk, performed_at=to, reason="Misread", by=world.physician, now=world.at(MONDAY, 12)
        )
        return kept(procedure)

    assert moved(world.at(MONDAY, 9, 25)) == BaselineScore(7, world.at(MONDAY, 9, 20), Source.DAY_OF)
    # It was named after the procedure: then it says nothing of before.
    assert moved(world.at(MONDAY, 9, 10)) == BaselineScore(5, world.now, Source.EARLIER)
    other = world.performed(baseline=6, hour=13, patient=world.another_patient())
    services.correct_time(
        other.pk, performed_at=world.at(MONDAY, 12, 40), reason="Misread", by=world.physician,
        now=world.at(MONDAY, 15),
    )  # fmt: skip
    assert kept(other) == BaselineScore(6, world.at(MONDAY, 12, 40), Source.DAY_OF)


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline_taken_at": None},
        {"baseline_taken_at": DONE + timedelta(days=9_000)},
        {"baseline_pain": None},
        {"baseline_source": ""},
        {"baseline_source": "today"},
    ],
)
def test_the_database_keeps_score_time_and_source_together(
    world: World, booked: Appointment, wrong: dict[str, object]
) -> None:
    procedure = perform(world, booked, 7)
    with pytest.raises(IntegrityError), transaction.atomic():
        Procedure.objects.filter(pk=procedure.pk).update(**wrong)


def test_through_the_api(world: World, booked: Appointment, manager: User) -> None:
    path = f"appointments/{booked.pk}/baselines/"
    now = world.at(MONDAY, 9, 5)
    made = call(world.nurse, "POST", path, {"values": {"nrs.now": 7, "peg.pain": 6}}, now=now)
    assert made.status_code == 201
    assert [(row["key"], row["value"]) for row in made.json()["baselines"]] == [
        ("nrs.now", 7),
        ("peg.pain", 6),
    ]
    local = {"values": {"nrs.now": 4}, "taken_at": "2027-01-08T15:00:00"}
    assert call(world.nurse, "POST", path, local, now=now).status_code == 201
    assert call(manager, "POST", path, {"values": {"nrs.now": 7}}, now=now).status_code == 403
    for bad, code in (
        ({"values": {"nrs.now": 12}}, "score_out_of_range"),
        ({"values": {"nrs.worst": 2}}, "unknown_item"),
        ({"values": {}}, "item_missing"),
        ({"values": {"nrs.now": 7}, "taken_at": "2099-01-01T00:00:00Z"}, "in_the_future"),
    ):
        refused = call(world.nurse, "POST", path, bad, now=now)
        assert (refused.status_code, code in refused.content.decode()) == (400, True), refused.content
    record = {"performed_at": "2027-01-11T09:30:00", "baselines": {"peg.activity": 8}}
    done = call(
        world.physician, "POST", f"appointments/{booked.pk}/complete/", record, now=world.at(MONDAY, 11)
    )
    shown = done.json()
    assert (shown["baseline_pain"], shown["baseline_source"]) == (7, "day_of")
    assert len(shown["baselines"]) == 4
    fix = f"procedures/{shown['id']}/correct-baseline/"
    later = world.at(MONDAY, 12)
    fixed = call(world.physician, "POST", fix, {"pain": 5, "reason": "Typed wrongly"}, now=later).json()
    assert (fixed["baseline_pain"], fixed["baseline_source"]) == (5, "day_of")
    none = call(
        world.physician, "POST", fix, {"pain": None, "reason": "Of another patient"}, now=later
    ).json()
    assert (none["baseline_pain"], none["baseline_taken_at"], none["baseline_source"]) == (None, None, "")
    assert call(world.physician, "POST", fix, {"pain": 5}, now=later).status_code == 400
    assert call(world.clerk, "POST", fix, {"pain": 5, "reason": "x"}, now=later).status_code == 403


def test_at_the_desk(world: World, booked: Appointment, client: Client) -> None:
    page = f"/admin/procedures/appointment/{booked.pk}/"
    note(world, booked, 5, world.now)
    signed_in(world.nurse, client)
    with clock(world.at(MONDAY, 9, 5)):
        form = words(client.get(f"{page}perform/"))
        assert "not asked today: take the 5 of Fri 8 Jan 2027, 12:00 EST, 3 days before" in form
        assert f"{page}baseline/" in client.get(f"{page}change/").content.decode()
        said = {"pain": "7", "taken_0": "2027-01-11", "taken_1": "09:05", "peg_pain": "6"}
        wrong = client.post(f"{page}baseline/", {**said, "taken_1": "23:59"})
        assert wrong.status_code == 422
        assert errors(wrong) == {"taken": ["in_the_future"]}
        assert client.post(f"{page}baseline/", said).status_code == 302
        seen = words(client.get(f"{page}change/"))
        assert "pain now 7 / 10 Mon 11 Jan 2027, 09:05 EST Nurse Test" in seen
        assert "PEG: pain on average 6 / 10" in seen
        form_page = client.get(f"{page}perform/")
        assert "7, as noted Mon 11 Jan 2027, 09:05 EST" in words(form_page)
        assert re.search(r'value="not-asked"[^>]*checked', form_page.content.decode())
    with clock(world.at(MONDAY, 11)):
        done = {
            "status": "completed", "performed_0": "2027-01-11", "performed_1": "09:30",
            "baseline_pain": "not-asked", "peg_activity": "8", "region": "lumbar", "laterality": "left",
        }  # fmt: skip
        assert client.post(f"{page}perform/", done).status_code == 302
        procedure = Procedure.objects.get()
        assert kept(procedure) == BaselineScore(7, world.at(MONDAY, 9, 5), Source.DAY_OF)
        fix = f"/admin/procedures/procedure/{procedure.pk}/pain/"
        assert "Correct the pain before" in words(
            client.get(f"/admin/procedures/procedure/{procedure.pk}/change/")
        )
        shown = client.get(fix).content.decode()
        assert 'value="09:05"' in shown
        again = {"pain": "6", "taken_0": "2027-01-11", "taken_1": "09:05", "reason": "Typed wrongly"}
        assert client.post(fix, again).status_code == 302
        assert kept(procedure) == BaselineScore(6, world.at(MONDAY, 9, 5), Source.DAY_OF)
        late = client.post(fix, {**again, "taken_1": "09:31"})
        assert late.status_code == 422
        assert errors(late) == {"taken": ["after_procedure"]}


def test_the_board_says_that_a_baseline_is_there_but_old(
    world: World, booked: Appointment, client: Client
) -> None:
    note(world, booked, 5, world.at(MONDAY, 9) - timedelta(days=3))
    procedure = perform(world, booked)
    signed_in(world.clerk, client)
    with clock(world.at(MONDAY, 11)):
        board = words(client.get("/admin/procedures/appointment/board/"))
        assert "pain before is old: 3 days" in board
        assert "pain before missing" not in board
        listed = words(client.get("/admin/procedures/procedure/"))
        assert "5 / 10, 3 days before" in listed
        correct(world, procedure, None)
        assert "pain before missing" in words(client.get("/admin/procedures/appointment/board/"))
