"""“My pain is back”: its link in e-mails and with the thanks, its page, staff and programs, and who hears of it."""

import re
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test import Client

from clinic.models import AuditEvent
from clinic.outbox import Message, send_due
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock as at
from clinic.tests.admin_client import queries, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from outcomes import emails, services
from outcomes.check_in_history import why
from outcomes.models import Alert, Answer, CheckIn, FollowUp, Link
from outcomes.relief import Verdict
from outcomes.services.staff_answers import values_of
from outcomes.tests.factories import answer_day, day_as_sent, insist, loss_interval, red_flag
from procedures import services as procedures
from procedures.models import Intent, Procedure
from procedures.tests.factories import World
from procedures.tests.races import run_together

DAY = timedelta(days=1)


@pytest.fixture
def relieved(world: World) -> FollowUp:
    """A course from a baseline of 8 with relief on day 42."""
    follow_up: FollowUp = world.performed(baseline=8).follow_up
    answer_day(follow_up, 42, 2)
    return follow_up


def noon(world: World, day: int) -> datetime:
    """Noon of a day after the procedure."""
    return world.at(MONDAY + timedelta(days=day), 12)


def report(follow_up: FollowUp, now: datetime, pain: int = 8, **how: object) -> Answer:
    told = {"channel": "email", "language": "en", "by": None} | how
    return services.report_pain(follow_up.pk, pain=pain, now=now, **told)  # type: ignore[arg-type]


def reports() -> list[CheckIn]:
    return list(CheckIn.objects.filter(kind="report").order_by("pk"))


def verdict(follow_up: FollowUp) -> str:
    follow_up.refresh_from_db()
    return follow_up.verdict


# What it does.


def test_a_bad_score_after_relief_is_a_loss_by_the_patients_own_word(
    world: World, relieved: FollowUp
) -> None:
    given = report(relieved, noon(world, 70), ended_on=65, remark="Since Tuesday\x00")
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert loss_interval(relieved) == (42, 65)
    assert values_of(given) == {"nrs.now": 8, "relief.worn_off": 1, "relief.ended_on": 65}
    assert (given.remark, given.recorded_by, given.channel) == ("Since Tuesday", None, "email")
    assert (given.check_in.status, given.check_in.when) == ("answered", "day 70, pain is back")
    assert [alert.kind for alert in Alert.objects.all()] == ["lost_early"]
    assert AuditEvent.objects.get(action="follow_up.pain_reported").actor == "patient"
    assert [fact.code for fact in why(given.check_in_id)] == ["reported", "answered"]
    relieved.summary.refresh_from_db()
    assert 70 not in relieved.summary.days  # it is in no rate by check-in


def test_a_good_score_is_a_question_to_staff_and_no_loss(world: World, relieved: FollowUp) -> None:
    report(relieved, noon(world, 70), pain=3)
    assert verdict(relieved) == Verdict.IN_RELIEF
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.urgency, alert.resolved_at) == ("pain_back", "routine", None)
    report(relieved, noon(world, 75), pain=3)
    assert Alert.objects.count() == 1  # one that is open is enough
    assert len(reports()) == 2


def test_a_site_that_wants_no_such_alert_gets_none(world: World, relieved: FollowUp) -> None:
    world.site.alert_kinds_off = ["pain_back"]
    world.site.save()
    report(relieved, noon(world, 70), pain=3)
    assert not Alert.objects.exists()


@pytest.mark.parametrize(("day", "since"), [(20, None), (20, 15), (60, None)])
def test_before_any_relief_it_is_a_question_to_staff(world: World, day: int, since: int | None) -> None:
    follow_up = world.performed(baseline=8).follow_up
    report(follow_up, noon(world, day), ended_on=since)
    assert verdict(follow_up) in (Verdict.TOO_EARLY, Verdict.NO_RELIEF)
    assert "pain_back" in [alert.kind for alert in Alert.objects.all()]
    assert not Alert.objects.filter(kind="lost_early").exists()


def test_without_a_baseline_it_is_a_question_to_staff(world: World) -> None:
    follow_up = world.performed(baseline=None).follow_up
    report(follow_up, noon(world, 60))
    assert [alert.kind for alert in Alert.objects.all()] == ["pain_back"]


def test_a_loss_that_was_known_already_is_not_news_but_the_patients_wish_is(
    world: World, relieved: FollowUp
) -> None:
    report(relieved, noon(world, 70))
    report(relieved, noon(world, 80))
    assert loss_interval(relieved) == (42, 70)
    assert sorted(alert.kind for alert in Alert.objects.all()) == ["lost_early", "pain_back"]


def test_a_loss_whose_alert_was_resolved_unconfirmed_is_a_question_all_the_same(
    world: World, relieved: FollowUp
) -> None:
    """Else nobody would hear what the patient says."""
    answer_day(relieved, 92, 7)
    services.resolve(Alert.objects.get().pk, resolution="no_action", by=world.nurse, now=noon(world, 93))
    report(relieved, noon(world, 95), pain=8)
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert [alert.kind for alert in Alert.objects.open()] == ["pain_back"]


@pytest.mark.parametrize("how", ["ended", "void", "died"])
def test_the_question_goes_with_the_course(world: World, relieved: FollowUp, how: str) -> None:
    report(relieved, noon(world, 70), pain=3)
    now = noon(world, 72)
    if how == "ended":
        services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=now)
    elif how == "void":
        procedures.void(relieved.procedure_id, reason="wrong patient", by=world.physician, now=now)
    else:
        relieved.patient.died_on = MONDAY + timedelta(days=71)
        relieved.patient.save()
    services.tick(now=now)
    assert [alert.resolution for alert in Alert.objects.all()] == ["settled"]


def test_it_confirms_a_first_bad_score(world: World, relieved: FollowUp) -> None:
    answer_day(relieved, 92, 7)
    report(relieved, noon(world, 95), pain=8)
    assert verdict(relieved) == Verdict.LOST_EARLY
    assert loss_interval(relieved) == (42, 92)
    assert Alert.objects.get().confirmed


def test_a_day_on_or_before_the_last_good_answer_is_kept_and_not_used(
    world: World, relieved: FollowUp
) -> None:
    given = report(relieved, noon(world, 70), ended_on=42)
    assert values_of(given)["relief.ended_on"] == 42
    assert loss_interval(relieved) == (42, 70)


@pytest.mark.parametrize(
    ("how", "code", "field"),
    [
        ({"ended_on": 71}, "in_the_future", "relief.ended_on"),
        ({"ended_on": -1}, "before_procedure", "relief.ended_on"),
        ({"pain": 11}, "score_out_of_range", "nrs.now"),
        ({"pain": None}, "score_out_of_range", "nrs.now"),
        ({"remark": "x" * 2001}, "remark_too_long", "remark"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    world: World, relieved: FollowUp, how: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        report(relieved, noon(world, 70), **how)  # type: ignore[arg-type]
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert reports() == []


def test_the_same_on_the_same_day_is_kept_once(world: World, relieved: FollowUp) -> None:
    first = report(relieved, noon(world, 70), ended_on=65)
    alert = Alert.objects.get()
    services.acknowledge(alert.pk, by=world.nurse, now=noon(world, 70))
    assert report(relieved, noon(world, 70) + timedelta(hours=3), ended_on=65).pk == first.pk
    assert len(reports()) == 1
    assert report(relieved, noon(world, 70) + timedelta(hours=4), pain=9, ended_on=65).pk != first.pk
    assert report(relieved, noon(world, 71), ended_on=65).pk != first.pk
    assert len(reports()) == 3


@pytest.mark.django_db(transaction=True)
def test_of_the_same_sent_twice_at_once_one_is_kept(world: World) -> None:
    follow_up = world.performed(baseline=8).follow_up
    answer_day(follow_up, 42, 2)
    now = noon(world, 70)
    connection.close()
    assert run_together(*(lambda: report(follow_up, now) for _ in range(4))) == {"won": 4}
    assert len(reports()) == 1
    assert follow_up.verdict_changes.filter(verdict=Verdict.LOST_EARLY).count() == 1


def test_of_a_course_that_has_ended_nothing_is_taken(world: World, relieved: FollowUp) -> None:
    world.performed(day=MONDAY + timedelta(days=63), baseline=8)  # the treatment was repeated
    relieved.refresh_from_db()
    assert relieved.closed_reason == "repeated"
    with pytest.raises(Refusal) as refusal:
        report(relieved, noon(world, 70))
    assert (refusal.value.code, refusal.value.field) == ("closed", "follow_up")


def test_of_a_test_nothing_is_taken(world: World, relieved: FollowUp) -> None:
    Procedure.objects.update(intent=Intent.DIAGNOSTIC)
    with pytest.raises(Refusal) as refusal:
        report(relieved, noon(world, 70))
    assert refusal.value.code == "not_possible"


# The link.


def mailed(world: World, now: datetime) -> list[str]:
    """The links for pain that is back, in the text and in the HTML of each e-mail that goes out now."""
    mail.outbox.clear()
    services.invite_due(now=now)
    services.remind_due(now=now)
    send_due(now=now)
    found = []
    for message in mail.outbox:
        assert isinstance(message, EmailMultiAlternatives)
        parts = [str(message.body), str(message.alternatives[0][0])]
        per_part = [re.findall(r"http://testserver(/p/[\w-]{43}/)", part) for part in parts]
        assert per_part[0] == per_part[1]
        found += per_part[0]
        assert not re.search(r"pain|dolor", str(message.subject), re.I)
    return found


@pytest.mark.parametrize("language", ["en", "es"])
def test_it_is_in_every_e_mail_about_a_check_in(
    world: World, relieved: FollowUp, client: Client, language: str
) -> None:
    relieved.patient.language = language
    relieved.patient.save()
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    (path,) = mailed(world, check_in.due_at)
    check_in.refresh_from_db()
    assert check_in.remind_at
    (again,) = mailed(world, check_in.remind_at + timedelta(hours=16))  # not at night
    assert again != path
    for row in (path, again):
        page = client.get(row)
        assert page.status_code == 200
        assert f'<html lang="{language}"' in page.content.decode()
    assert Link.objects.filter(follow_up=relieved).count() == 2


def test_one_e_mail_about_two_courses_has_one_for_each(world: World, relieved: FollowUp) -> None:
    other = world.performed(laterality="right", hour=11, day=MONDAY).follow_up
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    assert len(mailed(world, check_in.due_at)) == 2
    assert set(Link.objects.exclude(follow_up=None).values_list("follow_up", flat=True)) == {
        relieved.pk,
        other.pk,
    }


def test_it_is_in_no_e_mail_about_a_test(world: World, relieved: FollowUp) -> None:
    Procedure.objects.update(intent=Intent.DIAGNOSTIC)
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    assert mailed(world, check_in.due_at) == []
    assert not Link.objects.filter(follow_up__isnull=False).exists()


def test_the_links_of_many_e_mails_cost_three_round_trips(world: World, relieved: FollowUp) -> None:
    now = relieved.check_ins.get(offset_minutes=92 * 1440).due_at
    ids = [[row.pk] for row in relieved.check_ins.filter(status="planned", closes_at__gt=now)]
    contexts = [{"check_in_ids": row, "reminder": 0} for row in ids]
    assert queries(lambda: emails.invitations(contexts[:1], now)) == 3
    assert queries(lambda: emails.invitations(contexts, now)) == 3
    sent = [invitation for invitation in emails.invitations(contexts, now) if isinstance(invitation, Message)]
    assert len(sent) > 1
    assert all("/p/" in message.text for message in sent)


def opened(follow_up: FollowUp, now: datetime) -> str:
    return f"/p/{services.issue_link(follow_up, now=now)}/"


def test_looking_changes_nothing(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    clock[0] = noon(world, 70)
    path = opened(relieved, clock[0])
    before = (Link.objects.count(), AuditEvent.objects.count())
    for query in ("", "?lang=es", "?sent=1"):
        page = client.get(path + query)
        assert page.status_code == 200
        assert page["Referrer-Policy"] == "no-referrer"
        assert "no-store" in page["Cache-Control"]
    text = client.get(path).content.decode()
    assert world.site.phone in text
    assert world.site.emergency_phone in text
    assert not re.search(r"O'Brien|ablation|<script", text)
    assert (Link.objects.count(), AuditEvent.objects.count()) == before
    assert reports() == []


def test_the_page_takes_what_the_patient_says(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    clock[0] = noon(world, 70)
    path = opened(relieved, clock[0])
    sent = {"nrs.now": "8", "relief.ended_on": day_as_sent(65), "remark": "Help"}
    response = client.post(path + "?lang=es", sent)
    assert response["Location"] == f"{path}?lang=es&sent=1"
    client.post(path, sent)  # a second click
    (found,) = reports()
    assert (found.answer.language, found.answer.remark) == ("es", "Help")
    assert loss_interval(relieved) == (42, 65)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ({}, "nrs-now"),
        ({"nrs.now": "11"}, "nrs-now"),
        ({"nrs.now": "8", "relief.ended_on": day_as_sent(71)}, "relief-ended_on"),
        ({"nrs.now": "8", "relief.ended_on": day_as_sent(-1)}, "relief-ended_on"),
        ({"nrs.now": "8", "relief.ended_on": "soon"}, "relief-ended_on"),
        ({"nrs.now": "8", "remark": "x" * 2001}, "remark"),
    ],
)
def test_the_page_says_what_is_wrong_and_keeps_the_rest(
    world: World,
    relieved: FollowUp,
    clock: list[datetime],
    client: Client,
    sent: dict[str, str],
    fault: str,
) -> None:
    clock[0] = noon(world, 70)
    response = client.post(opened(relieved, clock[0]), sent)
    assert response.status_code == 422
    page = response.content.decode()
    assert f'href="#{fault}"' in page
    if sent.get("nrs.now") == "8":
        assert 'name="nrs.now" value="8" checked' in page
    assert reports() == []


def test_another_language_keeps_what_was_typed(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    clock[0] = noon(world, 70)
    sent = {"nrs.now": "8", "relief.ended_on": day_as_sent(65), "remark": "Help", "lang": "es"}
    page = client.post(opened(relieved, clock[0]), sent).content.decode()
    assert '<html lang="es"' in page
    assert 'action="?lang=es"' in page
    assert 'name="nrs.now" value="8" checked' in page
    assert f'value="{day_as_sent(65)}"' in page
    assert "Help</textarea>" in page
    assert reports() == []


def test_links_that_do_not_open_any_more_look_alike(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    clock[0] = noon(world, 70)
    path = opened(relieved, clock[0])
    assert client.get(path.replace("/p/", "/c/")).status_code == 410
    assert client.get(path.replace("/p/", "/c/") + "stop/").status_code == 200, "any link stops e-mails"
    Link.objects.update(revoked_at=clock[0])
    revoked = client.get(path)
    Link.objects.update(revoked_at=None)
    assert client.get(path).status_code == 200
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=clock[0])
    ended = client.get(path)
    posted = client.post(path, {"nrs.now": "8"})
    unknown = client.get(path[:-2] + ("x/" if path[-2] != "x" else "y/"))
    for page in (revoked, ended, posted, unknown):
        assert page.status_code == 410
        # Of a link that was sent there is an address to stop.
        assert page is unknown or page.content == revoked.content
        assert world.site.phone in page.content.decode()
    assert reports() == []


def test_whoever_sends_too_often_waits(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    clock[0] = noon(world, 70)
    path = opened(relieved, clock[0])
    answers = [client.post(path, {}).status_code for _ in range(61)]
    assert answers[59:] == [422, 429]


def test_where_the_site_asks_for_the_birth_date_it_comes_first(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    world.site.asks_birth_date = True
    world.site.save()
    clock[0] = noon(world, 70)
    path = opened(relieved, clock[0])
    assert 'name="year"' in client.get(path).content.decode()
    client.post(path, {"nrs.now": "8"})
    assert reports() == []
    for wrong in range(3):
        assert client.post(path, {"year": "1944", "month": "5", "day": str(7 + wrong)}).status_code == 422
    # The tries are those of the course, by whichever of its links.
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    CheckIn.objects.filter(pk=check_in.pk).update(opens_at=clock[0])
    other = f"/c/{services.issue_link(check_in, now=clock[0])}/"
    for wrong in range(2):
        client.post(other, {"year": "1944", "month": "6", "day": str(7 + wrong)})
    assert client.post(path, {"year": "1944", "month": "5", "day": "6"}).status_code == 422
    assert AuditEvent.objects.filter(action="follow_up.birth_date_refused").count() == 3


def test_the_right_birth_date_opens_the_page(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    world.site.asks_birth_date = True
    world.site.save()
    clock[0] = noon(world, 70)
    path = opened(relieved, clock[0])
    client.post(path, {"year": "1944", "month": "5", "day": "6"})
    client.post(path, {"nrs.now": "8"})
    assert len(reports()) == 1


def test_the_thanks_lead_to_it_for_as_long_as_the_course_runs(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    clock[0] = check_in.due_at
    path = f"/c/{services.issue_link(check_in, now=clock[0])}/"
    insist(client, path, {"step": "1", "nrs.now": "2"})
    insist(client, path, {"step": "2"})
    links = Link.objects.count()
    page = client.get(path).content.decode()
    found = re.search(r'href="(/p/[\w-]{43}/)\?lang=en"', page)
    assert found
    assert Link.objects.count() == links
    clock[0] = check_in.closes_at + 20 * DAY
    assert client.get(path).status_code == 410
    client.post(found[1], {"nrs.now": "8"})
    assert len(reports()) == 1
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=clock[0])
    assert client.get(found[1]).status_code == 410


def test_the_thanks_after_a_test_lead_nowhere(
    world: World, relieved: FollowUp, clock: list[datetime], client: Client
) -> None:
    check_in = relieved.check_ins.get(offset_minutes=92 * 1440)
    answer_day(relieved, 92, 2)
    clock[0] = check_in.due_at + timedelta(hours=2)
    path = f"/c/{services.issue_link(check_in, now=clock[0])}/"
    assert "/p/" in client.get(path).content.decode()
    Procedure.objects.update(intent=Intent.DIAGNOSTIC)
    assert "/p/" not in client.get(path).content.decode()


# Staff and programs.


def test_staff_write_it_down(world: World, relieved: FollowUp) -> None:
    desk, now = signed_in(world.clerk), noon(world, 70)
    page = f"/admin/outcomes/followup/{relieved.pk}/"
    sent = {
        "nrs.now": "8",
        "relief.ended_on": day_as_sent(65),
        "channel": "phone",
        "language": "en",
        "remark": "",
    }
    with at(now):
        assert f"{page}pain-back/" in desk.get(f"{page}change/").content.decode()
        assert desk.get(f"{page}pain-back/").status_code == 200
        assert desk.post(f"{page}pain-back/", sent | {"relief.ended_on": day_as_sent(71)}).status_code == 422
        assert desk.post(f"{page}pain-back/", sent | {"nrs.now": ""}).status_code == 422
        assert reports() == []
        assert desk.post(f"{page}pain-back/", sent)["Location"] == f"{page}change/"
        told = words(desk.get(f"{page}change/"))
    (found,) = reports()
    assert (found.answer.channel, found.answer.recorded_by) == ("phone", world.clerk)
    assert loss_interval(relieved) == (42, 65)
    assert "day 70, pain is back" in told
    with at(now):
        page = words(desk.get(f"/admin/outcomes/checkin/{found.pk}/change/"))
    assert "said without being asked" in page


def test_staff_cannot_after_the_course_and_others_not_at_all(world: World, relieved: FollowUp) -> None:
    now, page = noon(world, 70), f"/admin/outcomes/followup/{relieved.pk}/"
    manager = signed_in(staff("manager@example.org", "Manager", world.site))
    with at(now):
        assert manager.get(f"{page}pain-back/").status_code == 403
        assert "pain-back" not in manager.get(f"{page}change/").content.decode()
        services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=now)
        desk = signed_in(world.clerk)
        assert desk.get(f"{page}pain-back/")["Location"] == f"{page}change/"
        assert "pain-back" not in desk.get(f"{page}change/").content.decode()
        sent = {"nrs.now": "8", "channel": "phone", "language": "en", "remark": ""}
        assert desk.post(f"{page}pain-back/", sent).status_code == 409  # it has ended since
    assert reports() == []


def test_programs_write_it_down(world: World, relieved: FollowUp) -> None:
    path, now = f"follow-ups/{relieved.pk}/pain-reports/", noon(world, 70)
    sent = {"score": 8, "since": day_as_sent(65), "channel": "phone", "remark": "Rang us"}
    made = call(world.nurse, "POST", path, sent, now=now)
    assert made.status_code == 201
    body = made.json()
    assert (body["kind"], body["status"], body["when"]) == ("report", "answered", "day 70, pain is back")
    assert body["answer"]["score"] == 8
    assert body["answer"]["values"] == {"relief.worn_off": 1, "relief.ended_on": 65}
    assert body["answer"]["recorded_by"] == world.nurse.pk
    again = call(world.nurse, "POST", path, sent, now=now + timedelta(minutes=1))
    assert (again.status_code, again.json()["id"]) == (200, body["id"])
    rows = call(world.nurse, "GET", "check-ins/?kind=report", now=now).json()["results"]
    assert [row["id"] for row in rows] == [body["id"]]


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"channel": "phone"}, ("score", "required")),
        ({"score": 8}, ("channel", "required")),
        ({"score": 8, "channel": "email"}, ("channel", "invalid_choice")),
        ({"score": 8, "channel": "phone", "since": day_as_sent(71)}, ("since", "in_the_future")),
        ({"score": 8, "channel": "phone", "since": day_as_sent(-1)}, ("since", "before_procedure")),
        ({"score": 8, "channel": "phone", "since": "soon"}, ("since", "invalid")),
    ],
)
def test_programs_hear_what_is_wrong(
    world: World, relieved: FollowUp, sent: dict[str, object], wrong: tuple[str, str]
) -> None:
    path = f"follow-ups/{relieved.pk}/pain-reports/"
    response = call(world.nurse, "POST", path, sent, now=noon(world, 70))
    assert faults(response) == [wrong]
    assert reports() == []


def test_programs_need_the_permission_and_a_course_that_runs(world: World, relieved: FollowUp) -> None:
    path, now = f"follow-ups/{relieved.pk}/pain-reports/", noon(world, 70)
    sent = {"score": 8, "channel": "phone"}
    manager = staff("manager@example.org", "Manager", world.site)
    assert call(manager, "POST", path, sent, now=now).status_code == 403
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=now)
    assert faults(call(world.nurse, "POST", path, sent, now=now)) == [("follow_up", "closed")]


# Red flags beside it.


@pytest.fixture
def report_page(world: World, relieved: FollowUp, clock: list[datetime]) -> str:
    """The page of a course whose procedure asks for one red flag."""
    red_flag(world, "bladder_bowel", "emergency")
    clock[0] = noon(world, 70)
    return f"/p/{services.issue_link(relieved, now=clock[0])}/"


def test_a_yes_beside_it_leads_to_the_help_page_though_nothing_else_is_said(
    report_page: str, client: Client
) -> None:
    sent = {"red_flag.bladder_bowel": "1", "remark": "Since Tuesday", "relief.ended_on": ""}
    for _ in range(2):
        helped = client.post(report_page, sent)
        assert helped.status_code == 200
        assert 'href="tel:911"' in helped.content.decode()
    assert [(alert.kind, alert.codes) for alert in Alert.objects.all()] == [("red_flag", ["bladder_bowel"])]
    assert AuditEvent.objects.filter(action="alert.raised").count() == 1
    assert reports() == []
    kept = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', helped.content.decode()))
    assert {key: kept[key] for key in sent} == sent
    back = client.post(
        report_page, kept
    ).content.decode()  # what was typed is there, and what is missing is asked
    assert "Since Tuesday</textarea>" in back
    assert 'name="red_flag.bladder_bowel" value="1" checked' in back
    assert 'name="asked" value="nrs.now"' in back
    done = client.post(report_page, {**sent, "nrs.now": "8"}, follow=True)
    assert 'href="tel:911"' in done.content.decode()
    (report,) = reports()
    assert values_of(report.answer) == {"nrs.now": 8, "relief.worn_off": 1, "red_flag.bladder_bowel": 1}
    assert Alert.objects.filter(kind="red_flag").count() == 1


def test_without_the_pain_it_is_asked_once_and_then_the_phone_is_named(
    report_page: str, client: Client, world: World
) -> None:
    assert client.post(report_page, {}).status_code == 422
    second = client.post(f"{report_page}?lang=es", {"asked": "nrs.now"})
    assert second.status_code == 422
    assert second.context["nothing"]
    assert 'name="asked"' not in second.content.decode()
    assert reports() == []


def test_of_a_course_that_ended_meanwhile_no_yes_is_taken(
    report_page: str, client: Client, world: World, relieved: FollowUp
) -> None:
    with pytest.raises(Refusal) as refusal:
        services.report_unasked(relieved.pk, red_flags=["never"], now=noon(world, 70))
    assert refusal.value.code == "unknown_item"
    services.end_follow_up(relieved.pk, closed_reason="transferred", by=world.physician, now=noon(world, 71))
    with pytest.raises(Refusal) as refusal:
        services.report_unasked(relieved.pk, red_flags=["bladder_bowel"], now=noon(world, 72))
    assert refusal.value.code == "closed"
