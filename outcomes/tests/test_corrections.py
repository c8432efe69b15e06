"""Correcting an answer: versions that stand side by side, never mixed, and a verdict that follows."""

import re
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from clinic.models import AuditEvent, Site
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.factories import staff
from outcomes import services
from outcomes.models import Alert, Answer, AnswerCorrection, CourseSummary, FollowUp, Measurement
from outcomes.services.corrections import versions_of
from outcomes.tests.factories import red_flag
from procedures.tests.factories import World
from procedures.tests.races import run_together

VALUES = {"nrs.now": 7, "nrs.worst_24_hours": 9}


def answered(
    world: World, *, day: int = 92, values: dict[str, int] | None = None, **performed: Any
) -> Answer:
    """The answer to one check-in of an ablation."""
    check_in = world.performed(**performed).follow_up.check_ins.get(offset_minutes=day * 1440)
    return services.store_answer(
        check_in.pk,
        values=values or VALUES,
        channel="phone",
        language="en",
        by=world.clerk,
        now=check_in.due_at,
    )


def correct(given: Answer, world: World, values: dict[str, Any], reason: str = "typed 7 for 2") -> Answer:
    return services.correct_answer(
        given.pk, values=values, reason=reason, by=world.nurse, now=given.answered_at.replace(hour=20)
    )


def current(given: Answer) -> dict[str, int]:
    return {
        f"{measurement.instrument}.{measurement.item}": measurement.value
        for measurement in Measurement.objects.filter(answer=given)
    }


def test_a_correction_is_a_new_version_and_the_old_one_stays(world: World) -> None:
    given = answered(world)
    follow_up = given.check_in.follow_up_id
    before = FollowUp.objects.get(pk=follow_up).verdict
    corrected = correct(given, world, {"nrs.now": 2, "nrs.worst_24_hours": 9})
    assert corrected.version == 2
    assert current(given) == {"nrs.now": 2, "nrs.worst_24_hours": 9}
    assert FollowUp.objects.get(pk=follow_up).verdict == "in_relief" != before
    first, second = versions_of(corrected)
    assert (first.number, first.values, first.by) == (1, VALUES, world.clerk)
    assert (second.number, second.values, second.by) == (2, current(given), world.nurse)
    assert second.reason == "typed 7 for 2"
    event = AuditEvent.objects.get(action="answer.corrected")
    assert (event.by, event.reason) == (world.nurse, "version 2")
    assert given.channel == corrected.channel == "phone"


def test_each_version_stands_whole_with_what_was_added_and_taken_out(world: World) -> None:
    given = answered(world)
    steps: list[dict[str, int]] = [
        {"nrs.now": 7},
        {"nrs.now": 7, "peg.pain": 5, "peg.enjoyment": 4, "peg.activity": 3},
        {"nrs.now": 0, "peg.pain": 5, "peg.enjoyment": 4, "peg.activity": 3},
    ]
    for values in steps:
        correct(given, world, values)
    assert [version.values for version in versions_of(Answer.objects.get(pk=given.pk))] == [VALUES, *steps]
    assert Measurement.every.filter(answer=given).count() == 2 + 1 + 4 + 4
    assert AnswerCorrection.objects.count() == 3


@pytest.mark.parametrize(
    ("values", "reason", "code", "field"),
    [
        ({"nrs.now": 2}, "", "reason_required", "reason"),
        ({"nrs.now": 2}, "  \n", "reason_required", "reason"),
        ({"nrs.now": 2}, "x" * 501, "reason_too_long", "reason"),
        (VALUES, "again", "nothing_changed", "values"),
        ({"nrs.now": 11}, "typo", "score_out_of_range", "nrs.now"),
        ({"nrs.now": -1}, "typo", "score_out_of_range", "nrs.now"),
        ({"nrs.now": True}, "typo", "score_out_of_range", "nrs.now"),
        ({"nrs.now": "3"}, "typo", "score_out_of_range", "nrs.now"),
        ({"nrs.now": 2.5}, "typo", "score_out_of_range", "nrs.now"),
        ({"nrs.worst_24_hours": 9}, "typo", "item_missing", "nrs.now"),
        ({}, "typo", "item_missing", "nrs.now"),
        ({"nrs.now": 2, "nrs.never": 1}, "typo", "unknown_item", "nrs.never"),
        ({"nrs.now": 2, "odi.total": 1}, "typo", "unknown_item", "odi.total"),
        ({"nrs.now": 2, "red_flag.never": 1}, "typo", "unknown_item", "red_flag.never"),
    ],
)
def test_what_is_refused_changes_nothing(
    world: World, values: dict[str, Any], reason: str, code: str, field: str
) -> None:
    given = answered(world)
    with pytest.raises(Refusal) as refusal:
        correct(given, world, values, reason)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert current(given) == VALUES
    assert Answer.objects.get().version == 1
    assert not AnswerCorrection.objects.exists()


def test_a_yes_that_was_missed_raises_its_alert_and_a_no_takes_none_back(world: World) -> None:
    red_flag(world)
    given = answered(world, day=7, values={"nrs.now": 4, "red_flag.fever_chills": 0})
    correct(given, world, {"nrs.now": 4, "red_flag.fever_chills": 1})
    assert Alert.objects.get().codes == ["fever_chills"]
    correct(given, world, {"nrs.now": 4, "red_flag.fever_chills": 0})
    assert Alert.objects.get().resolved_at is None


#: A course that lost its relief between day 42 and day 92, which the score of day 184 confirms.
LOST = {42: 2, 92: 7, 184: 8}


def told(world: World, days: tuple[int, ...], follow_up: FollowUp | None = None) -> FollowUp:
    """The answers of LOST for these days, each from its own day, written down in this order."""
    follow_up = follow_up or world.performed().follow_up
    for day in days:
        check_in = follow_up.check_ins.get(offset_minutes=day * 1440)
        services.store_answer(
            check_in.pk,
            values={"nrs.now": LOST[day]},
            channel="paper",
            language="en",
            by=world.clerk,
            now=check_in.due_at,
        )
    return FollowUp.objects.get(pk=follow_up.pk)


def alerts(follow_up: FollowUp) -> list[tuple[str, str]]:
    return list(follow_up.alerts.order_by("pk").values_list("kind", "resolution"))


@pytest.mark.parametrize("days", list(permutations(LOST)), ids=str)
def test_in_whatever_order_answers_are_written_down_they_show_the_same(
    world: World, days: tuple[int, ...]
) -> None:
    follow_up = told(world, days)
    assert (follow_up.verdict, follow_up.verdict_reason) == (
        "lost_early",
        "Relief ended after day 42 and by day 92; it was expected to last until day 180 at least. Pain 8 before, 7 on "
        "day 92 (12 % less), confirmed by the next score on day 184.",
    )
    summary = CourseSummary.objects.get(pk=follow_up.pk)
    assert (summary.lost_after, summary.lost_until, summary.suspected_until) == (42, 92, None)
    assert [kind for kind, ended in alerts(follow_up) if not ended] == ["lost_early"]


@pytest.mark.parametrize("day", LOST)
def test_a_corrected_score_flips_verdict_curve_and_alert_and_back(world: World, day: int) -> None:
    follow_up = told(world, (42, 92, 184))
    given = Answer.objects.get(check_in__follow_up=follow_up, check_in__offset_minutes=day * 1440)
    other = {42: 8, 92: 3, 184: 3}[day]
    seen: list[str] = []
    for hours, score in enumerate((other, LOST[day]), 1):
        services.correct_answer(
            given.pk,
            values={"nrs.now": score},
            reason="Typed wrongly",
            by=world.nurse,
            now=given.answered_at + timedelta(days=200, hours=hours),
        )
        verdict, lost = {
            8: ("no_relief", (0, 92 if day == 92 else 42)),
            3: ("lost_unconfirmed", (92, None)) if day == 92 else ("in_relief", (184, None)),
        }[other]
        if score == LOST[day]:
            verdict, lost = "lost_early", (42, 92)
        follow_up.refresh_from_db()
        summary = CourseSummary.objects.get(pk=follow_up.pk)
        assert (follow_up.verdict, (summary.lost_after, summary.lost_until)) == (verdict, lost)
        open_ones = [kind for kind, ended in alerts(follow_up) if not ended]
        assert (open_ones == ["lost_early"]) is verdict.startswith(
            "lost_"
        )  # possibly early, after the other score
        assert follow_up.alerts.filter(resolved_at=None, confirmed=False).exists() is (
            verdict == "lost_unconfirmed"
        )
        seen.append(verdict)
    ended = [kind for kind, ended in alerts(follow_up) if ended]
    assert ended == {8: ["lost_early", "no_relief"], 3: ["lost_early"] * (day != 92)}[other]
    changes = list(follow_up.verdict_changes.values_list("previous", "verdict"))
    assert changes[-2:] == [("lost_early", seen[0]), (seen[0], "lost_early")]


def test_what_somebody_has_seen_to_is_not_raised_again_by_a_correction_and_its_correction(
    world: World,
) -> None:
    follow_up = told(world, (42, 92, 184))
    alert = Alert.objects.get()
    now = alert.raised_at + timedelta(days=1)
    services.resolve(alert.pk, resolution="spoken", by=world.nurse, now=now)
    given = Answer.objects.get(check_in__offset_minutes=184 * 1440)
    for hours, score in enumerate((3, 8)):
        services.correct_answer(
            given.pk,
            values={"nrs.now": score},
            reason="Typed wrongly",
            by=world.nurse,
            now=now + timedelta(hours=hours),
        )
    assert FollowUp.objects.get(pk=follow_up.pk).verdict == "lost_early"
    assert alerts(follow_up) == [("lost_early", "spoken")]


@pytest.mark.django_db(transaction=True)
def test_of_corrections_at_once_each_is_a_version_of_its_own(world: World) -> None:
    given = answered(world)
    connection.close()
    wanted = [{"nrs.now": score, "nrs.worst_24_hours": score} for score in (1, 2, 3, 4)]
    ends = run_together(*(lambda values=values: correct(given, world, values) for values in wanted))
    assert ends == {"won": 4}
    versions = versions_of(Answer.objects.get(pk=given.pk))
    assert [version.number for version in versions] == [1, 2, 3, 4, 5]
    assert versions[0].values == VALUES
    assert sorted(version.values["nrs.now"] for version in versions[1:]) == [1, 2, 3, 4]
    assert all(version.values["nrs.now"] == version.values["nrs.worst_24_hours"] for version in versions[1:])
    assert current(given) == versions[-1].values
    assert len({version.at for version in versions}) == 5


# At the front desk.


def test_the_page_shows_what_stands_and_takes_what_should(world: World, client: Client) -> None:
    given = answered(world)
    address = f"/admin/outcomes/checkin/{given.check_in_id}"
    signed_in(world.nurse, client)
    with clock(given.answered_at.replace(hour=20)):
        form = client.get(f"{address}/correct/").context["form"]
        assert form["nrs.now"].value() == 7
        assert form["pgic.change"].value() == "-"
        sent = {question.key: str(form[question.key].value()) for question in form.questions}
        same = client.post(f"{address}/correct/", sent | {"reason": "none"})
        assert same.status_code == 422
        assert [fault.code for fault in same.context["form"].non_field_errors().as_data()] == [
            "nothing_changed"
        ]
        silent = client.post(f"{address}/correct/", sent | {"nrs.now": "2"})
        assert list(silent.context["form"].errors) == ["reason"]
        client.post(f"{address}/correct/", sent | {"nrs.now": "2", "reason": "typed 7 for 2"})
        told = words(client.get(f"{address}/change/"))
    assert current(given)["nrs.now"] == 2
    assert "2 counts" in told
    assert "nrs.now 7, nrs.worst_24_hours 9" in told
    assert "nrs.now 2, nrs.worst_24_hours 9 typed 7 for 2" in told
    assert re.search(r"Nurse Test, .* 2: typed 7 for 2", told)


def test_corrections_are_for_clinical_staff_at_their_own_sites(world: World, client: Client) -> None:
    given = answered(world)
    address = f"/admin/outcomes/checkin/{given.check_in_id}/correct/"
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    sent = {"nrs.now": "2", "reason": "typo"}
    for user, status in (
        (world.clerk, 403),
        (staff("manager@example.org", "Manager", world.site), 403),
        (staff("stranger@example.org", "Nurse", elsewhere), 404),
    ):
        signed_in(user, client)
        assert client.get(address).status_code == status
        assert client.post(address, sent).status_code == status
    assert not AnswerCorrection.objects.exists()


def test_without_an_answer_there_is_nothing_to_correct(world: World, client: Client) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    signed_in(world.nurse, client)
    response = client.get(f"/admin/outcomes/checkin/{check_in.pk}/correct/", follow=True)
    assert response.redirect_chain[-1][0].endswith("/change/")
    assert "no answer yet" in words(response)


def test_what_the_patient_said_in_their_own_words_is_read_by_the_clinic(world: World, client: Client) -> None:
    red_flag(world)
    given = answered(world, values=VALUES | {"pgic.change": 2, "red_flag.fever_chills": 0})
    Answer.objects.filter(pk=given.pk).update(remark="Cannot lift <my> foot.\nSince Monday.")
    silent = answered(world, patient=world.another_patient(), day=42, hour=13)
    signed_in(world.nurse, client)
    with clock(given.answered_at):
        check_in = client.get(f"/admin/outcomes/checkin/{given.check_in_id}/change/")
        told = words(check_in)
        assert "How bad is your pain right now? 7" in told
        assert "Since the procedure, my overall status is: Much improved" in told
        assert "Do you have fever_chills? No" in told
        remark = "Cannot lift &lt;my&gt; foot.<br>Since Monday."
        course = given.check_in.follow_up
        for page in (
            f"/admin/outcomes/checkin/{given.check_in_id}/change/",
            f"/admin/outcomes/followup/{course.pk}/change/",
            f"/admin/patients/patient/{course.patient_id}/change/",
        ):
            assert remark in client.get(page).content.decode(), page
        found = client.get("/admin/outcomes/checkin/?remark=yes").context["cl"].result_list
    assert list(found) == [given.check_in]
    assert silent.remark == ""
