"""Who is on which list, and in what order."""

from datetime import datetime, timedelta
from itertools import product

import pytest

from clinic.models import Site
from clinic.tests.admin_client import signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from outcomes import services
from outcomes.models import Alert, CourseSummary, FollowUp
from outcomes.relief import LOST_VERDICTS, Verdict
from outcomes.reports import WORKLISTS
from outcomes.schedule import DAY
from outcomes.tests.factories import answered_course
from procedures import services as procedures
from procedures.models import Appointment, Procedure, ProcedureType
from procedures.tests.factories import World


def listed(world: World, code: str) -> list[FollowUp]:
    return list(WORKLISTS[code].rows(world.nurse, world.now + timedelta(days=400)))


def test_each_list_holds_its_own_and_the_most_urgent_first(world: World) -> None:
    late, soon = (
        answered_course(world, {42: 2, 92: 2, 184: 8, 275: 8}),
        answered_course(world, {42: 2, 92: 8}),
    )
    assert (late.verdict, soon.verdict) == ("possibly_early", "lost_unconfirmed")
    never = answered_course(world, {42: 8, 92: 8})
    silent = answered_course(world, {42: 2})
    silent.check_ins.filter(offset_minutes__in=[92 * DAY, 184 * DAY]).update(status="missed")
    services.update_verdict(silent.pk, now=world.now)
    within = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    assert listed(world, "losing_early") == [soon, late]
    assert listed(world, "no_relief") == [never]
    assert listed(world, "silent") == [silent]
    assert listed(world, "due_for_repeat") == [within]


def ongoing(world: World) -> World:
    """From now on the effect of the ablation has no expected end, as that of a stimulator."""
    profile = world.ablation.relief_profiles.get()
    profile.pk, profile.version, profile.in_force_from, profile.ongoing = None, 2, world.now, True
    profile.save()
    return world


def test_nobody_is_losing_relief_early_and_due_for_a_repeat_at_once(world: World) -> None:
    """Whatever the verdict, the kind of loss, and however far that is known."""
    before = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    rows = [before, answered_course(ongoing(world), {42: 2, 184: 2, 275: 7, 366: 8})]
    seen: dict[str, set[str]] = {}
    kinds = ["", *LOST_VERDICTS, Verdict.OUTLASTING]
    for verdict, kind, known in product(Verdict, kinds, (True, False)):
        FollowUp.objects.update(verdict=verdict)
        CourseSummary.objects.update(
            verdict=verdict, loss_kind=kind, lost_until=275 if known else None, suspected_until=275
        )
        early, repeat = set(listed(world, "losing_early")), set(listed(world, "due_for_repeat"))
        effect = set(listed(world, "loss_of_effect"))
        assert not early & repeat, (verdict, kind)
        assert not effect & (early | repeat), (verdict, kind)
        for name, found in (("early", early), ("effect", effect), ("repeat", repeat)):
            seen.setdefault(name, set()).update(verdict for follow_up in rows if follow_up in found)
    assert seen == {
        "early": {"lost_early", "possibly_early", "lost_unconfirmed"},
        "effect": {"lost", "lost_date_unknown", "lost_unconfirmed"},
        "repeat": {"lost_within_window", "reached_end", "outlasting_window", "lost_date_unknown"},
    }


def test_a_lost_effect_without_an_expected_end_is_a_list_of_its_own(world: World) -> None:
    ongoing(world)
    early = answered_course(world, {42: 2, 92: 8})
    lost = answered_course(world, {42: 2, 184: 2, 275: 8, 366: 8})
    doubtful = answered_course(world, {42: 2, 184: 2, 275: 8})
    unknown = answered_course(world, {42: 2, 548: 8, 731: 8})
    assert [follow_up.verdict for follow_up in (lost, doubtful, unknown)] == [
        *("lost", "lost_unconfirmed", "lost_date_unknown")
    ]
    assert listed(world, "losing_early") == [early]
    assert set(listed(world, "loss_of_effect")) == {lost, doubtful, unknown}
    assert listed(world, "due_for_repeat") == []


def test_a_loss_whose_date_is_not_known_is_due_for_a_repeat(world: World) -> None:
    unknown = answered_course(world, {42: 2, 548: 8, 731: 8})
    assert (unknown.verdict, listed(world, "due_for_repeat")) == ("lost_date_unknown", [unknown])


@pytest.mark.parametrize("off", [[], ["lost_early"]], ids=["with alerts", "without"])
def test_relief_that_is_back_by_two_scores_in_a_row_is_on_no_list(world: World, off: list[str]) -> None:
    world.site.alert_kinds_off = off
    world.site.save()
    once = answered_course(world, {42: 2, 92: 8, 184: 8, 275: 2})
    twice = answered_course(world, {42: 2, 92: 8, 184: 8, 275: 2, 366: 2})
    gone = answered_course(world, {42: 2, 92: 8, 184: 8, 275: 2, 366: 2, 548: 8})
    assert {follow_up.verdict for follow_up in (once, twice, gone)} == {"lost_early"}
    assert set(listed(world, "losing_early")) == {once, gone}
    later = answered_course(world, {42: 2, 184: 2, 275: 8, 366: 8, 548: 2, 731: 2})
    assert (later.verdict, listed(world, "due_for_repeat")) == ("lost_within_window", [])


def test_whether_relief_is_back_is_asked_of_what_patients_say_unasked_as_well(world: World) -> None:
    """As alerts and verdicts do: lists, alerts and courses say the same."""

    def reported(follow_up: FollowUp, day: int, pain: int) -> FollowUp:
        now = follow_up.procedure.performed_at + timedelta(days=day, hours=1)
        services.report_pain(follow_up.pk, pain=pain, channel="email", language="en", by=None, now=now)
        Alert.objects.filter(kind="pain_back").delete()
        return FollowUp.objects.get(pk=follow_up.pk)

    early = answered_course(world, {42: 2, 92: 8, 184: 8, 275: 2})
    assert listed(world, "losing_early") == [early]
    reported(early, 300, 2)
    assert listed(world, "losing_early") == []
    repeat = answered_course(world, {42: 2, 184: 2, 275: 8, 366: 8, 548: 2, 731: 2})
    assert listed(world, "due_for_repeat") == []
    assert reported(repeat, 740, 8).verdict == "lost_within_window"
    assert listed(world, "due_for_repeat") == [repeat]


def test_who_says_that_the_pain_is_back_is_listed_until_somebody_has_asked(world: World) -> None:
    late, early, _other = (answered_course(world, {42: 2}) for _ in range(3))
    alerts = [
        services.raise_alert(follow_up, Alert.Kind.PAIN_BACK, now=world.now + days * timedelta(days=1))
        for follow_up, days in ((late, 60), (early, 50))
    ]
    assert listed(world, "pain_back") == [early, late]
    assert alerts[1]
    services.resolve(alerts[1].pk, resolution="spoken", by=world.nurse, now=world.now + timedelta(days=70))
    assert listed(world, "pain_back") == [late]


def longer_ago(follow_up: FollowUp, days: int) -> None:
    """As if it had been performed so many days earlier."""
    before = follow_up.procedure.performed_at - timedelta(days=days)
    Procedure.objects.filter(pk=follow_up.procedure_id).update(
        performed_at=before, baseline_taken_at=before, recorded_at=before
    )


def test_who_lost_relief_soonest_against_the_window_comes_first(world: World) -> None:
    """Of two who lost it at the same share of their windows, the longest ago."""
    half, soon, long_window, again = (
        answered_course(world, {42: 2, 92: 8, 184: 8}),
        answered_course(world, {42: 2, 92: 8}),
        answered_course(world, {42: 2, 92: 8, 184: 8}),
        answered_course(world, {42: 2, 92: 8, 184: 8}),
    )
    CourseSummary.objects.filter(pk=long_window.pk).update(window_from=1000)
    CourseSummary.objects.filter(pk=soon.pk).update(window_from=500)  # also while nothing confirms it
    longer_ago(again, 400)
    assert listed(world, "losing_early") == [long_window, soon, again, half]


def test_who_has_waited_longest_for_relief_comes_first(world: World) -> None:
    late, early, middle = (answered_course(world, {42: 8}) for _ in range(3))
    longer_ago(early, 400)
    longer_ago(middle, 200)
    assert listed(world, "no_relief") == [early, middle, late]


def test_who_lost_relief_longest_ago_comes_first_for_a_repeat(world: World) -> None:
    """Not whose procedure was longest ago: that relief may have lasted until yesterday."""
    lately, long_ago, between = (answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8}) for _ in range(3))
    longer_ago(lately, 400)
    rows = CourseSummary.objects.filter(pk__in=[lately.pk, long_ago.pk, between.pk])
    rows.update(performed_on=MONDAY, lost_after=184, lost_until=275)
    rows.filter(pk=between.pk).update(performed_on=MONDAY - timedelta(days=10))
    rows.filter(pk=long_ago.pk).update(performed_on=MONDAY - timedelta(days=20))
    rows.filter(pk=lately.pk).update(performed_on=MONDAY - timedelta(days=400), lost_until=800)
    assert listed(world, "due_for_repeat") == [long_ago, between, lately]


def test_who_was_silent_longest_comes_first_and_who_was_never_heard_before_all(world: World) -> None:
    lately = answered_course(world, {42: 2, 92: 2, 184: None, 275: None})
    never = answered_course(world, {92: None})
    long_ago = answered_course(world, {42: 2, 184: None})
    assert {follow_up.verdict for follow_up in (lately, never, long_ago)} == {"unknown"}
    assert listed(world, "silent") == [never, long_ago, lately]


def test_silence_is_listed_before_a_verdict_can_say_so_and_until_its_alert_is_resolved(world: World) -> None:
    young = answered_course(world, {1: None, 7: None})
    assert (young.verdict, listed(world, "silent")) == ("too_early", [])  # nobody had asked
    alert = services.raise_alert(young, Alert.Kind.SILENT, now=world.now)
    assert alert
    assert listed(world, "silent") == [young]
    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=world.now)
    assert listed(world, "silent") == []


def test_relief_that_outlasted_its_window_and_is_gone_is_due_for_a_repeat(world: World) -> None:
    gone = answered_course(world, {42: 2, 366: 2, 548: 8, 731: 8})
    still = answered_course(world, {42: 2, 366: 2})
    early = answered_course(world, {42: 2, 92: 8, 184: 8})
    assert (gone.verdict, still.verdict, early.verdict) == ("outlasting_window",) * 2 + ("lost_early",)
    assert listed(world, "due_for_repeat") == [gone]


@pytest.mark.parametrize("code", WORKLISTS)
def test_another_sites_patients_are_on_no_list(world: World, code: str) -> None:
    answered_course(world, {42: 2, 92: 8, 184: 8})
    answered_course(world, {42: 8})
    answered_course(world, {92: None})
    said = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    services.raise_alert(said, Alert.Kind.PAIN_BACK, now=world.now)
    answered_course(ongoing(world), {42: 2, 184: 2, 275: 8, 366: 8})
    trial = world.performed(patient=world.another_patient(90))
    Procedure.objects.filter(pk=trial.pk).update(intent="trial")
    elsewhere = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("far@example.org", "Nurse", elsewhere)
    later = world.now + timedelta(days=400)
    assert not WORKLISTS[code].rows(stranger, later).exists()
    assert WORKLISTS[code].rows(world.nurse, later).count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"status": Appointment.Status.CANCELLED, "ended_reason": "patient"},
        {"status": Appointment.Status.NO_SHOW},
        {"starts_at": "now"},
        {"patient": "another"},
        {"procedure_type": "another family"},
        {"region": "cervical"},
        {"laterality": "right"},
    ],
    ids=lambda change: next(iter(change.values())),
)
def test_what_is_no_coming_repeat_leaves_a_patient_due(world: World, change: dict[str, str]) -> None:
    lost = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    now = world.now + timedelta(days=400)
    made = procedures.book(
        world.appointment(patient=lost.patient, starts_at=world.at(MONDAY + timedelta(days=420), 9)),
        by=world.clerk,
        now=world.now,
    )
    assert listed(world, "due_for_repeat") == []
    match change:
        case {"starts_at": _}:
            Appointment.objects.filter(pk=made.pk).update(
                starts_at=now, ends_at=now + (made.ends_at - made.starts_at)
            )
        case {"patient": _}:
            Appointment.objects.filter(pk=made.pk).update(patient=world.patient)
        case {"procedure_type": _}:
            other = ProcedureType.objects.get(pk=made.procedure_type_id)
            other.pk, other.code, other.family = None, "esi_caudal", "epidural_steroid_injection"
            other.save()
            Appointment.objects.filter(pk=made.pk).update(procedure_type=other)
        case _:
            Appointment.objects.filter(pk=made.pk).update(**change)
    assert listed(world, "due_for_repeat") == [lost]


@pytest.mark.parametrize("change", [{"laterality": "bilateral"}, {"laterality": ""}, {"region": ""}])
def test_what_may_be_the_coming_repeat_is_one(world: World, change: dict[str, str]) -> None:
    lost = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    made = procedures.book(
        world.appointment(patient=lost.patient, starts_at=world.at(MONDAY + timedelta(days=420), 9)),
        by=world.clerk,
        now=world.now,
    )
    Appointment.objects.filter(pk=made.pk).update(**change)
    assert listed(world, "due_for_repeat") == []


def test_who_has_arrived_before_the_time_is_not_due(world: World) -> None:
    lost = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    made = procedures.book(
        world.appointment(patient=lost.patient, starts_at=world.at(MONDAY + timedelta(days=420), 9)),
        by=world.clerk,
        now=world.now,
    )
    Appointment.objects.filter(pk=made.pk).update(status=Appointment.Status.ARRIVED)
    assert listed(world, "due_for_repeat") == []


def test_who_is_booked_already_is_not_due_for_a_repeat(world: World) -> None:
    lost = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    day = MONDAY + timedelta(days=427 - 7)
    procedures.book(
        world.appointment(patient=lost.patient, starts_at=world.at(day, 9)), by=world.clerk, now=world.now
    )
    assert listed(world, "due_for_repeat") == []


def test_an_ended_course_and_a_patient_who_has_died_are_on_no_list(world: World) -> None:
    ended, died = answered_course(world, {42: 8, 92: 8}), answered_course(world, {42: 8, 92: 8})
    ends = ended.procedure.performed_at + timedelta(days=150)
    services.end_follow_up(ended.pk, closed_reason="transferred", by=world.physician, now=ends)
    ended.refresh_from_db()
    assert ended.verdict == "no_relief"
    died.patient.died_on = MONDAY + timedelta(days=300)
    died.patient.save()
    assert all(listed(world, code) == [] for code in WORKLISTS)


def test_a_row_leaves_when_somebody_has_seen_to_it_and_returns_when_it_comes_again(world: World) -> None:
    lost = answered_course(world, {42: 2, 92: 7, 184: 8})
    (alert,) = lost.alerts.open()
    now = alert.raised_at + timedelta(days=1)
    services.acknowledge(alert.pk, by=world.nurse, now=now)
    assert listed(world, "losing_early") == [lost]  # looked at is not done
    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=now)
    assert listed(world, "losing_early") == []
    here = "/admin/outcomes/followup/worklists/?list=losing_early"
    client = signed_in(world.nurse)
    assert 'href="?list=losing_early&amp;seen_to=1"' in client.get(here).content.decode()
    page = client.get(f"{here}&seen_to")
    assert [row.follow_up for row in page.context["rows"]] == [lost]
    (row,) = page.context["rows"]
    resolved = f"{now.astimezone(world.site.zone):%-d %b %Y} · Nurse Test"
    assert (row.alert, row.whose) == ("spoken with the patient", resolved)
    assert [names(world, seen_to) for seen_to in ("", "?seen_to=true")] == [[], [lost.pk]]
    services.raise_alert(lost, "lost_early", now=now + timedelta(days=1))
    assert listed(world, "losing_early") == [lost]
    assert [names(world, seen_to) for seen_to in ("", "?seen_to=true")] == [[lost.pk], []]


def names(world: World, query: str) -> list[int]:
    """The numbers on the worklist of early losses, as the API tells them."""
    told = call(world.nurse, "GET", f"reports/worklists/losing_early/{query}", now=world.now).json()
    return [row["id"] for row in told["results"]]


def test_what_settled_itself_once_does_not_keep_a_row_away(world: World) -> None:
    world.site.alert_kinds_off = ["no_relief"]
    world.site.save()
    never = answered_course(world, {42: 8, 92: 8})
    alert = Alert.objects.create(
        follow_up=never,
        patient=never.patient,
        site=world.site,
        kind="no_relief",
        urgency="routine",
        raised_at=world.now,
        due_at=world.now,
        resolved_at=world.now,
        resolution="settled",
    )
    assert listed(world, "no_relief") == [never]
    Alert.objects.filter(pk=alert.pk).update(resolution="seen", resolved_by=world.nurse)
    assert listed(world, "no_relief") == []


def test_who_goes_another_way_leaves_every_list(world: World, clock: list[datetime]) -> None:
    clock[0] = world.now + timedelta(days=700)
    lost = answered_course(world, {42: 2, 184: 2, 275: 7, 366: 8})
    assert listed(world, "due_for_repeat") == [lost]
    client, here = signed_in(world.physician), "/admin/outcomes/followup/worklists/?list=due_for_repeat"
    page = f"/admin/outcomes/followup/{lost.pk}/end/?list=due_for_repeat"
    assert page in client.get(here).content.decode()
    assert page not in signed_in(world.clerk).get(here).content.decode()
    assert "other_care" in client.get(page).content.decode()
    answer = client.post(page, {"closed_reason": "other_care", "reason": "Surgery."}, follow=True)
    assert answer.redirect_chain[-1][0] == here
    assert listed(world, "due_for_repeat") == []
    lost.refresh_from_db()
    assert (lost.closed_reason, lost.verdict) == ("other_care", "lost_within_window")


def test_what_was_diagnostic_is_on_no_list(world: World) -> None:
    """That its anaesthetic has worn off, or did nothing, is the result that was asked for."""
    profile = world.ablation.relief_profiles.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now
    profile.window_from_minutes, profile.window_until_minutes = 120, 720
    profile.save()
    world.ablation.purpose = "diagnostic"
    world.ablation.save()
    block = answered_course(world, {42: 9, 92: 9}, intent="diagnostic")
    assert block.verdict in ("too_early", "indeterminate")  # nothing was written in a diary
    assert all(listed(world, code) == [] for code in WORKLISTS)
    answered_course(world, {42: 9, 92: 9})
    client = signed_in(world.physician)
    groups = client.get("/admin/").context["overview"]
    (card,) = (card for group in groups for card in group["cards"] if card["label"] == "no relief")
    assert card["count"] == len(client.get(card["link"]).context["rows"])
