"""Whose an alert is: the provider's, the deputy's or the site's, when it is raised and later."""

from datetime import datetime, timedelta

import pytest
from django.core import mail

from clinic import outbox
from clinic.models import AuditEvent, Closure, Resource, User
from clinic.tests.admin_client import clock, signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import resource, staff
from outcomes import services
from outcomes.models import Alert, FollowUp
from outcomes.services.assignments import ABOUT_RELIEF
from outcomes.tests.factories import answer_days, answered_course, red_flag_question
from procedures.models import Procedure
from procedures.signals import procedure_corrected
from procedures.tests.factories import World

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def followed(world: World, *, performer: User | None = None) -> FollowUp:
    """The follow-up of an ablation that the physician has performed, or somebody else."""
    procedure = world.performed()
    procedure.performer = performer or world.physician
    procedure.save()
    return services.update_verdict(procedure.follow_up.pk, now=procedure.recorded_at)


def raised(follow_up: FollowUp, kind: str = "lost_early", *, now: datetime) -> Alert:
    alert = services.raise_alert(FollowUp.objects.get(pk=follow_up.pk), kind, now=now)
    assert alert
    return alert


def away(
    who: Resource, *, since: datetime, deputy: User | None = None, days: float = 7, reason: str = "leave"
) -> Closure:
    return Closure.objects.create(
        resource=who, starts_at=since, ends_at=since + days * DAY, reason=reason, deputy=deputy
    )


@pytest.fixture
def colleague(world: World) -> User:
    """Another physician, who is a resource as well."""
    user = staff("colleague@example.org", "Physician", world.site)
    resource("Dr Second", world.doctor.categories.get(), world.site, user)
    return user


@pytest.mark.parametrize("kind", Alert.Kind.values)
def test_alerts_about_relief_are_the_performers_and_all_others_everybodys(world: World, kind: str) -> None:
    follow_up = followed(world)
    if kind == "red_flag":
        red_flag_question("new_weakness", "emergency")
        check_in = follow_up.check_ins.get(offset_minutes=1440)
        alert = services.raise_red_flags(check_in, ["new_weakness"], now=world.now + 5 * DAY)
        assert alert
    else:
        alert = raised(follow_up, kind, now=world.now + 5 * DAY)
    mine = kind in {"lost_early", "lost_effect", "no_relief", "worse", "pain_back"}
    assert mine == (kind in ABOUT_RELIEF)
    assert alert.owner == (world.physician if mine else None)
    assert alert.acknowledged_at is None  # assigned is not looked at
    assert Alert.objects.overdue(alert.due_at).filter(pk=alert.pk).exists()


def test_a_bad_score_assigns_through_the_judgement(world: World) -> None:
    (alert,) = answer_days(followed(world), {42: 2, 92: 8}).alerts.all()
    assert (alert.kind, alert.owner, alert.confirmed) == ("lost_early", world.physician, False)


@pytest.mark.parametrize("why", ["nobody", "inactive", "elsewhere", "no permission"])
def test_who_cannot_handle_it_is_passed_over_and_it_is_the_sites(world: World, why: str) -> None:
    follow_up = followed(world, performer=world.clerk if why == "no permission" else None)
    if why == "nobody":
        Procedure.objects.update(performer=None)
    elif why == "inactive":
        User.objects.filter(pk=world.physician.pk).update(is_active=False)
    elif why == "elsewhere":
        world.physician.sites.clear()
    assert raised(follow_up, now=world.now + 5 * DAY).owner is None


def test_a_deputy_gets_it_while_the_performer_is_away_and_only_then(world: World) -> None:
    follow_up, now = followed(world), world.now + 5 * DAY
    closure = away(world.doctor, since=now, deputy=world.nurse)
    kinds = ("lost_early", "no_relief", "worse")
    moments = (now, closure.ends_at - MINUTE, closure.ends_at)
    owners = [raised(follow_up, kind, now=at).owner for kind, at in zip(kinds, moments, strict=True)]
    assert owners == [world.nurse, world.nurse, world.physician]


@pytest.mark.parametrize("why", ["no deputy", "inactive", "no permission"])
def test_without_a_deputy_who_can_it_is_the_sites(world: World, why: str) -> None:
    follow_up, now = followed(world), world.now + 5 * DAY
    deputy = {"no deputy": None, "inactive": world.nurse, "no permission": world.clerk}[why]
    User.objects.filter(pk=world.nurse.pk).update(is_active=why != "inactive")
    away(world.doctor, since=now, deputy=deputy)
    assert raised(follow_up, now=now).owner is None


def test_of_two_absences_the_one_with_a_deputy_counts(world: World) -> None:
    follow_up, now = followed(world), world.now + 5 * DAY
    away(world.doctor, since=now, deputy=world.nurse)
    away(world.doctor, since=now, days=0.1, reason="teaching")
    assert raised(follow_up, now=now).owner == world.nurse


def test_a_deputy_who_is_away_too_is_represented_and_a_circle_ends_at_the_site(
    world: World, colleague: User
) -> None:
    follow_up, now = followed(world), world.now + 5 * DAY
    away(world.doctor, since=now, deputy=colleague)
    theirs = away(colleague.resource, since=now, deputy=world.nurse)
    assert raised(follow_up, now=now).owner == world.nurse
    theirs.deputy = world.physician
    theirs.save()
    assert raised(follow_up, "no_relief", now=now).owner is None


def test_what_somebody_owned_who_has_left_becomes_the_sites(world: World) -> None:
    follow_up, now = followed(world), world.now + 5 * DAY
    alert = raised(follow_up, now=now)
    handed = raised(follow_up, "silent", now=now)
    services.hand_over(handed.pk, to=world.physician.pk, by=world.nurse, now=now)
    seen = raised(follow_up, "no_relief", now=now)
    services.acknowledge(seen.pk, by=world.physician, now=now)
    assert services.tick(now=now)["alerts_reassigned"] == 0
    signed = signed_in(world.admin)
    page = f"/admin/clinic/user/{world.physician.pk}/change/"
    with clock(now):
        form = signed.get(page).context["adminform"].form
        data = {"email": form["email"].value(), "first_name": "P", "last_name": "T"}
        data |= {"groups": form["groups"].value(), "sites": form["sites"].value(), "is_staff": "on"}
        assert signed.post(page, data).status_code == 302  # no longer "is_active"
    world.physician.refresh_from_db()
    assert not world.physician.is_active
    assert services.tick(now=now + MINUTE)["alerts_reassigned"] == 2
    owners = {alert.pk: alert.owner for alert in Alert.objects.all()}
    # What was acknowledged is told to the site when it falls overdue again.
    assert owners == {alert.pk: None, handed.pk: None, seen.pk: world.physician}
    assert AuditEvent.objects.filter(action="alert.reassigned", actor="time").count() == 2
    alert.refresh_from_db()
    assert alert.due_at == now + 3 * DAY
    assert services.tick(now=now + 2 * MINUTE)["alerts_reassigned"] == 0


def test_what_waits_when_time_off_begins_becomes_the_deputys_and_stays_theirs(world: World) -> None:
    follow_up, now = followed(world), world.now + 5 * DAY
    alert, silent = raised(follow_up, now=now), raised(follow_up, "silent", now=now)
    services.hand_over(silent.pk, to=world.physician.pk, by=world.nurse, now=now)
    seen = raised(follow_up, "no_relief", now=now)
    services.acknowledge(seen.pk, by=world.physician, now=now)
    closure = away(world.doctor, since=now + DAY, deputy=world.nurse, days=0.5)
    assert services.tick(now=now)["alerts_reassigned"] == 0
    assert services.tick(now=now + DAY)["alerts_reassigned"] == 1
    owners = {alert.pk: alert.owner for alert in Alert.objects.all()}
    assert owners == {alert.pk: world.nurse, silent.pk: world.physician, seen.pk: world.physician}
    assert services.tick(now=closure.ends_at)["alerts_reassigned"] == 0


def test_an_hours_closure_without_a_deputy_empties_no_list(world: World) -> None:
    (alert,) = answer_days(followed(world), {42: 2, 92: 8}).alerts.all()
    away(world.doctor, since=alert.raised_at, days=0.05, reason="teaching")
    assert services.tick(now=alert.raised_at + MINUTE)["alerts_reassigned"] == 0
    assert services.tick(now=alert.due_at)["alerts_escalated"] == 1  # and the site is told in time


@pytest.mark.parametrize("by", ["signal", "tick"])
def test_a_corrected_performer_gets_what_nobody_has_looked_at(world: World, colleague: User, by: str) -> None:
    alert, seen = answer_days(followed(world), {42: 9, 92: 9}).alerts.order_by("kind")
    assert (alert.owner, seen.owner) == (world.physician, world.physician)
    now = seen.raised_at
    services.acknowledge(seen.pk, by=world.physician, now=now)
    Procedure.objects.update(performer=colleague)
    if by == "signal":
        procedure = Procedure.objects.get()
        procedure_corrected.send(Procedure, procedure=procedure, reason="wrong name", now=now)
    else:
        assert services.tick(now=now)["alerts_reassigned"] == 1
    owners = {alert.pk: alert.owner for alert in Alert.objects.all()}
    assert owners == {alert.pk: colleague, seen.pk: world.physician}
    assert services.tick(now=now)["alerts_reassigned"] == 0
    services.hand_over(alert.pk, to=world.nurse.pk, by=world.physician, now=now)
    assert services.tick(now=now)["alerts_reassigned"] == 0  # what a person decides stays


def test_who_looks_first_owns_what_was_assigned_to_another(world: World) -> None:
    alert = raised(followed(world), now=world.now + 5 * DAY)
    assert services.acknowledge(alert.pk, by=world.nurse, now=alert.raised_at).owner == world.nurse
    other = raised(alert.follow_up, "no_relief", now=alert.raised_at)
    done = services.resolve(other.pk, resolution="spoken", by=world.nurse, now=alert.raised_at)
    assert (done.owner, done.resolved_by) == (world.physician, world.nurse)


# From the first bad score to its end.


def test_an_early_loss_is_raised_by_the_first_bad_score_and_confirmed_by_the_second(world: World) -> None:
    follow_up = answer_days(followed(world), {42: 2, 92: 8})
    (alert,) = follow_up.alerts.all()
    shown = call(world.physician, "GET", f"alerts/{alert.pk}/", now=alert.raised_at).json()
    expected = {"after": 42, "until": 92, "unit": "day", "confirmed": False}
    assert (shown["confirmed"], shown["relief_ended"]) == (False, shown["relief_ended"] | expected)
    answer_days(follow_up, {184: 8})
    (after,) = follow_up.alerts.all()
    assert (after.pk, after.confirmed, after.raised_at) == (alert.pk, True, alert.raised_at)
    shown = call(world.physician, "GET", f"alerts/{alert.pk}/", now=alert.raised_at).json()
    assert (shown["confirmed"], shown["relief_ended"]["confirmed"]) == (True, True)


def test_a_bad_score_that_relief_follows_settles_and_another_one_is_news(world: World) -> None:
    follow_up = answer_days(followed(world), {42: 2, 92: 8, 184: 2})
    assert [(alert.kind, alert.resolution) for alert in follow_up.alerts.all()] == [("lost_early", "settled")]


def test_two_good_answers_in_a_row_settle_a_loss_and_one_does_not(world: World) -> None:
    follow_up = answer_days(followed(world), {14: 2, 42: 2, 92: 8, 184: 8, 275: 2})
    (alert,) = follow_up.alerts.all()
    assert (alert.confirmed, alert.resolution) == (True, "")
    later = FollowUp.objects.get(pk=follow_up.pk)
    answer_days(later, {366: 2})
    alert.refresh_from_db()
    assert alert.resolution == "settled"


def test_what_a_person_resolved_unconfirmed_does_not_come_back_when_it_is_confirmed(world: World) -> None:
    follow_up = answer_days(followed(world), {42: 2, 92: 8})
    (alert,) = follow_up.alerts.all()
    services.resolve(alert.pk, resolution="spoken", by=world.physician, now=alert.raised_at + DAY)
    follow_up = answer_days(follow_up, {184: 8})
    assert follow_up.verdict == "lost_early"
    assert [(alert.pk, alert.resolution) for alert in follow_up.alerts.all()] == [(alert.pk, "spoken")]


def test_no_email_to_staff_says_when_relief_ended_or_whose_patient_it_is(world: World) -> None:
    world.site.alert_email = "alerts@example.org"
    world.site.save()
    answered_course(world, {42: 2, 92: 8})
    (alert,) = Alert.objects.all()
    services.tick(now=alert.due_at)
    outbox.send_due(now=alert.due_at)
    (told,) = (message for message in mail.outbox if "alerts@example.org" in message.to)
    for word in ("day 92", "relief", "confirmed", "Physician", "back"):
        assert word not in str(told.body), word
