"""The pain before a procedure, corrected after answers have arrived: the verdict follows, and nothing is lost."""

from datetime import timedelta

import pytest

from clinic.models import AuditEvent
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.instruments import latest
from outcomes.models import FollowUp
from outcomes.relief import Verdict
from procedures import services as procedures
from procedures.baselines import ITEMS
from procedures.models import Procedure
from procedures.signals import baseline_corrected
from procedures.tests.factories import World


@pytest.mark.parametrize("key", ITEMS)
def test_what_is_asked_before_is_asked_after_on_the_same_scale(key: str) -> None:
    name, _, item = key.partition(".")
    instrument = latest(name)
    codes = instrument.item(item).codes
    expected = ITEMS[key]
    assert (instrument.version, codes[0], codes[-1]) == (expected.version, expected.least, expected.most)


def answered(procedure: Procedure, day: int, pain: int) -> FollowUp:
    check_in = procedure.follow_up.check_ins.get(offset_minutes=day * 1440)
    at = check_in.due_at + timedelta(hours=1)
    services.store_answer(
        check_in.pk, values={"nrs.now": pain}, channel="email", language="en", by=None, now=at
    )
    return FollowUp.objects.get(procedure=procedure)


def test_only_the_same_item_is_ever_compared(world: World) -> None:
    """A PEG before is no pain before, and an average or a PEG afterwards is no pain afterwards."""
    appointment = procedures.book(world.appointment(), by=world.clerk, now=world.now)
    record = procedures.Performed(
        performed_at=world.at(MONDAY, 9),
        baselines={"peg.pain": 9, "peg.enjoyment": 9, "peg.activity": 9},
    )
    procedure = procedures.perform(appointment.pk, record, by=world.physician, now=world.at(MONDAY, 10))
    course = answered(procedure, 42, 3)
    assert (procedure.baseline_pain, course.verdict) == (None, Verdict.NO_BASELINE)
    procedures.correct_baseline(
        procedure.pk, pain=8, reason="Forgotten", by=world.physician, now=world.at(MONDAY, 11)
    )
    check_in = course.check_ins.get(offset_minutes=92 * 1440)
    others = {"peg.pain": 9, "peg.enjoyment": 9, "peg.activity": 9, "nrs.average_7_days": 9}
    with pytest.raises(Refusal) as refusal:
        services.store_answer(
            check_in.pk, values=others, channel="email", language="en", by=None, now=check_in.due_at
        )
    assert (refusal.value.code, refusal.value.field) == ("item_missing", "nrs.now")
    services.store_answer(
        check_in.pk,
        values={"nrs.now": 2, **others},
        channel="email",
        language="en",
        by=None,
        now=check_in.due_at,
    )
    judged = FollowUp.objects.get(procedure=procedure)
    assert judged.verdict_reason.startswith("Pain 8 before, 2 on day 92 (75 % less)")


def test_a_correction_flips_the_verdict_and_back(world: World) -> None:
    procedure = world.performed(baseline=None)
    assert answered(procedure, 42, 3).verdict == Verdict.NO_BASELINE
    told = []
    baseline_corrected.connect(
        lambda **news: told.append(news["procedure"].pk), weak=False, dispatch_uid="told"
    )
    for pain, expected in (
        (8, Verdict.IN_RELIEF),
        (0, Verdict.NO_BASELINE),
        (3, Verdict.NO_RELIEF),
        (None, Verdict.NO_BASELINE),
    ):
        procedures.correct_baseline(
            procedure.pk,
            pain=pain,
            reason="Typed wrongly",
            by=world.physician,
            now=world.at(MONDAY, 9) + timedelta(days=60),
        )
        assert FollowUp.objects.get().verdict == expected
        procedure.refresh_from_db()
        assert procedure.baseline_pain == pain
    baseline_corrected.disconnect(dispatch_uid="told")
    assert told == [procedure.pk] * 4
    changes = list(FollowUp.objects.get().verdict_changes.values_list("verdict", flat=True))
    assert changes[-4:] == [
        Verdict.IN_RELIEF,
        Verdict.NO_BASELINE,
        Verdict.NO_RELIEF,
        Verdict.NO_BASELINE,
    ]
    assert AuditEvent.objects.filter(action="procedure.baseline_corrected").count() == 4
    stood = procedure.events.order_by("pgh_id").values_list("baseline_pain", flat=True)  # type: ignore[attr-defined]
    assert list(stood) == [None, 8, 0, 3, None]
