"""Adverse events: what is kept, what is refused, and that each earlier version stays."""

from datetime import date
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from pghistory.models import Events

from clinic.models import AuditEvent, Site
from clinic.refusals import Refusal
from clinic.tests.factories import DAY, MONDAY, staff
from outcomes import services
from outcomes.adverse_event_terms import RISKS, Term
from outcomes.models import AdverseEvent, FollowUp
from outcomes.models.adverse_events import TERMS
from outcomes.tests.factories import recorded_adverse_event
from procedures import services as procedures
from procedures.catalogue import read_catalogue
from procedures.tests.factories import World


@pytest.fixture
def course(world: World) -> FollowUp:
    follow_up: FollowUp = world.performed().follow_up
    return follow_up


def refused(act: Any) -> list[tuple[str, str]]:
    """(field, code) of what a service refuses."""
    with pytest.raises(ValidationError) as caught:
        act()
    refusal = caught.value
    if isinstance(refusal, Refusal):
        return [(refusal.field or "", str(refusal.code))]
    return [(field, str(fault.code)) for field, faults in refusal.error_dict.items() for fault in faults]


def test_it_is_kept_with_who_recorded_it_and_without_words_in_the_trail(
    world: World, course: FollowUp
) -> None:
    kept = recorded_adverse_event(world, course, description="red and warm at the site")
    assert (kept.recorded_by, kept.suspect, kept.grade) == (world.nurse, "procedure", None)
    audited = AuditEvent.objects.get(action="adverse_event.recorded")
    assert (audited.by, audited.site, audited.object_id, audited.reason) == (
        world.nurse,
        world.site,
        kept.pk,
        "",
    )


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"term": "bad_luck"}, "term", "invalid_choice"),
        ({"term": "other"}, "description", "description_required"),
        ({"term": "other", "description": "  "}, "description", "description_required"),
        ({"description": "x" * 2001}, "description", "too_long"),
        ({"severity": "awful"}, "severity", "invalid_choice"),
        ({"grade": 6}, "grade", "invalid_choice"),
        ({"grade": 5}, "grade", "grade_not_possible"),
        ({"outcome": "fatal"}, "serious", "fatal_not_serious"),
        ({"outcome": "fatal", "serious": True}, "severity", "fatal_not_serious"),
        (
            {"outcome": "fatal", "serious": True, "severity": "severe", "grade": 4},
            "grade",
            "grade_not_possible",
        ),
        ({"onset_on": MONDAY - DAY}, "onset_on", "before_procedure"),
        ({"onset_on": MONDAY + 4 * DAY}, "onset_on", "in_the_future"),
    ],
)
def test_what_cannot_be_is_refused(
    world: World, course: FollowUp, values: dict[str, Any], field: str, code: str
) -> None:
    assert (field, code) in refused(lambda: recorded_adverse_event(world, course, **values))
    assert not AdverseEvent.objects.exists()


def test_the_day_of_the_procedure_is_the_sites(world: World) -> None:
    """At eight in the evening in New York it is tomorrow in UTC."""
    follow_up = world.performed(hour=14).follow_up
    follow_up.procedure.performed_at = world.at(MONDAY, 20)
    follow_up.procedure.recorded_at = world.at(MONDAY, 21)
    follow_up.procedure.save()
    recorded_adverse_event(world, follow_up, onset_on=MONDAY)


def test_what_was_fatal_is_serious_and_severe(world: World, course: FollowUp) -> None:
    recorded_adverse_event(world, course, outcome="fatal", serious=True, severity="severe", grade=5)


def test_a_second_click_is_refused_and_two_things_on_a_day_are_not(world: World, course: FollowUp) -> None:
    recorded_adverse_event(world, course)
    assert refused(lambda: recorded_adverse_event(world, course)) == [("__all__", "recorded_already")]
    recorded_adverse_event(world, course, term="bleeding")
    recorded_adverse_event(world, course, term="other", description="fell")
    recorded_adverse_event(world, course, term="other", description="fainted", severity="mild")
    assert AdverseEvent.objects.count() == 4


def test_a_procedure_entered_in_error_harmed_nobody(world: World, course: FollowUp) -> None:
    now = world.at(MONDAY + DAY, 9)
    procedures.void(course.procedure_id, reason="wrong patient", by=world.physician, now=now)
    assert refused(lambda: recorded_adverse_event(world, course)) == [("", "not_allowed_now")]


def test_an_ended_course_can_still_have_one(world: World, course: FollowUp) -> None:
    """A late complication is known after another clinic has taken over."""
    services.end_follow_up(
        course.pk, closed_reason="transferred", by=world.physician, now=world.at(MONDAY, 12)
    )
    recorded_adverse_event(world, course)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"onset_on": date(2027, 3, 1)}, "adverse_event_began_before_recorded"),
        ({"outcome": "fatal"}, "fatal_event_is_serious"),
        ({"grade": 5}, "grade_5_is_death"),
        ({"grade": 0}, "grade_5_is_death"),
        ({"grade": 6}, "grade_5_is_death"),
        ({"term": "other"}, "other_event_is_described"),
        ({"entered_in_error_reason": "typed twice"}, "adverse_event_error_with_reason"),
    ],
)
def test_the_database_keeps_out_what_must_never_be(
    world: World, course: FollowUp, values: dict[str, Any], constraint: str
) -> None:
    kept = recorded_adverse_event(world, course)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        AdverseEvent.objects.filter(pk=kept.pk).update(**values)


def test_a_correction_keeps_what_stood_before(world: World, course: FollowUp) -> None:
    kept = recorded_adverse_event(world, course)

    def correct(reason: str, **changes: object) -> AdverseEvent:
        now = world.at(MONDAY + 9 * DAY, 10)
        return services.correct_adverse_event(
            kept.pk, changes=changes, reason=reason, by=world.physician, now=now
        )

    assert refused(lambda: correct("", outcome="resolved")) == [("reason", "reason_required")]
    assert refused(lambda: correct("same", outcome="ongoing")) == [("", "nothing_changed")]
    assert refused(lambda: correct("day", onset_on=MONDAY - DAY)) == [("onset_on", "before_procedure")]
    assert refused(lambda: correct("day", onset_on=MONDAY + 8 * DAY)) == [("__all__", "after_recording")]
    correct("seen on the wound check", outcome="resolved", severity="mild")
    kept.refresh_from_db()
    assert (kept.outcome, kept.severity, kept.term) == ("resolved", "mild", "infection")
    assert kept.corrected_reason == "seen on the wound check"
    every: Any = Events.objects
    last = every.tracks(kept).order_by("-pgh_created_at", "-pgh_slug").first()
    assert last.pgh_diff["outcome"] == ["ongoing", "resolved"]
    assert AuditEvent.objects.get(action="adverse_event.corrected").reason == ""


def test_a_mistake_stays_on_record_and_counts_nowhere(world: World, course: FollowUp) -> None:
    kept = recorded_adverse_event(world, course)
    now = world.at(MONDAY + 4 * DAY, 9)
    services.void_adverse_event(kept.pk, reason="another patient's", by=world.nurse, now=now)
    kept.refresh_from_db()
    assert (kept.entered_in_error_at, kept.entered_in_error_reason) == (now, "another patient's")
    assert not AdverseEvent.objects.standing().exists()
    for act in (
        lambda: services.void_adverse_event(kept.pk, reason="again", by=world.nurse, now=now),
        lambda: services.correct_adverse_event(
            kept.pk, changes={"outcome": "resolved"}, reason="again", by=world.nurse, now=now
        ),
    ):
        assert refused(act) == [("", "not_allowed_now")]
    recorded_adverse_event(world, course)  # it did happen after all


def test_another_sites_adverse_events_do_not_exist(world: World, course: FollowUp) -> None:
    recorded_adverse_event(world, course)
    other = Site.objects.create(name="Desert", time_zone="America/Phoenix", phone="+1 602 555 0100")
    stranger = staff("stranger@example.org", "Physician", other)
    assert not AdverseEvent.objects.visible_to(stranger).exists()
    assert AdverseEvent.objects.visible_to(world.nurse).count() == 1


# The terms.


def test_every_term_has_a_word_and_stands_for_risks_that_the_catalogue_names() -> None:
    assert [term for term, _ in TERMS] == list(Term)
    assert set(RISKS) == set(Term) - {Term.OTHER}
    named = {risk.name for entry in read_catalogue().procedure_types for risk in entry.risks}
    assert {risk for risks in RISKS.values() for risk in risks} <= named


def test_a_risk_has_one_term_at_most() -> None:
    every = [risk for risks in RISKS.values() for risk in risks]
    assert len(every) == len(set(every))
