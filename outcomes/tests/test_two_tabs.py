"""Two tabs, and changing one's answer: what comes later is refused with what was answered, and may be changed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.test import Client

from clinic.models import AuditEvent
from clinic.refusals import Refusal
from clinic.tests.admin_client import signed_in, words
from outcomes import services
from outcomes.check_in_history import why
from outcomes.models import Alert, Answer, AnswerCorrection, CheckIn, Draft
from outcomes.questions import URGENCIES
from outcomes.services.staff_answers import values_of
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]
WELL = {"step": "2", "none": list(URGENCIES)}
NO = {f"red_flag.{code}": 0 for code in ("new_weakness", "fever_chills", "burning")}


@pytest.fixture
def answered(flags: World, link: Issue, client: Client) -> tuple[CheckIn, str]:
    """A check-in of day 1 that one tab has answered with 5."""
    check_in, path = link(1)
    client.post(path, {"step": "1", "nrs.now": "5"})
    client.post(path, WELL)
    return check_in, path


def values() -> dict[str, int]:
    return values_of(Answer.objects.get())


@pytest.mark.parametrize(("language", "known"), [("en", "None of these"), ("es", "Nada de esto")])
def test_the_later_tab_is_told_what_was_answered(
    answered: tuple[CheckIn, str], client: Client, language: str, known: str
) -> None:
    _, path = answered
    late = client.post(f"{path}?lang={language}", {"step": "1", "nrs.now": "9"})
    assert late.status_code == 409
    assert [answer for _, answer in late.context["rows"]] == ["5", known]
    assert f'href="?lang={language}&amp;change=1"' in late.content.decode()
    assert values() == {"nrs.now": 5, **NO}
    assert not Draft.objects.exists()


def test_the_later_tabs_yes_is_heard_and_leads_to_help(answered: tuple[CheckIn, str], client: Client) -> None:
    check_in, path = answered
    for _ in range(2):
        late = client.post(path, {"step": "2", "red_flag.new_weakness": "1"})
        html = late.content.decode()
        assert late.status_code == 409
        assert html.index('href="tel:911"') < html.index("<h2>")
    alert = Alert.objects.get()
    assert (alert.codes, alert.check_in) == (["new_weakness"], check_in)
    assert AuditEvent.objects.filter(action="alert.raised").count() == 1
    assert values() == {"nrs.now": 5, **NO}


def test_a_yes_that_loses_the_race_is_heard(answered: tuple[CheckIn, str]) -> None:
    check_in, _ = answered
    now = check_in.due_at
    yes = {"nrs.now": 5, "red_flag.new_weakness": 1}
    services.store_answer(check_in.pk, values=yes, channel="email", language="en", by=None, now=now)
    assert Alert.objects.get().codes == ["new_weakness"]
    services.save_step(check_in.pk, values={"red_flag.fever_chills": 1}, remark=None, step=2, now=now)
    assert Alert.objects.get().codes == ["fever_chills", "new_weakness"]


def test_it_is_changed_on_one_page_as_a_new_version(
    answered: tuple[CheckIn, str], client: Client, clock: list[datetime], flags: World
) -> None:
    check_in, path = answered
    html = client.get(f"{path}?change=1").content.decode()
    assert 'name="nrs.now" value="5" checked' in html
    assert html.count('name="none"') == html.count('" checked') - 1 == 3
    clock[0] += timedelta(hours=1)
    spanish = client.post(path, {"change": "1", "nrs.now": "7", "remark": "Oh", "lang": "es", **WELL})
    assert 'name="nrs.now" value="7" checked' in spanish.content.decode()
    assert (spanish.status_code, values()["nrs.now"]) == (200, 5)
    assert client.post(path, {"change": "1", "nrs.now": "7", "remark": "Oh", **WELL}).status_code == 302
    assert values() == {"nrs.now": 7, **NO}
    given = Answer.objects.get()
    assert (given.version, given.remark, given.answered_at) == (2, "Oh", check_in.due_at)
    assert AnswerCorrection.objects.get().by is None
    event = AuditEvent.objects.get(action="answer.corrected")
    assert (event.actor, event.by) == ("patient", None)
    client.post(path, {"change": "1", "nrs.now": "7", "remark": "Oh", **WELL})  # a double click
    assert Answer.objects.get().version == 2
    assert "corrected" in [fact.code for fact in why(check_in.pk)]
    signed_in(flags.nurse, client)
    assert "changed by the patient" in words(client.get(f"/admin/outcomes/checkin/{check_in.pk}/change/"))


def test_a_change_to_a_yes_raises_the_alert_and_says_what_to_do_though_the_rest_is_wrong(
    answered: tuple[CheckIn, str], client: Client
) -> None:
    _, path = answered
    sent = {"change": "1", "nrs.now": "11", "remark": "x" * 2001, "red_flag.new_weakness": "1"}
    done = client.post(path, sent, follow=True)
    html = done.content.decode()
    assert html.index('href="tel:911"') < html.index("<h2>")
    assert Alert.objects.get().codes == ["new_weakness"]
    assert (values()["nrs.now"], values()["red_flag.new_weakness"]) == (5, 1)
    client.post(path, {"change": "1", "nrs.now": "5", **WELL})
    assert values()["red_flag.new_weakness"] == 0
    assert Alert.objects.open().count() == 1  # somebody looks at it all the same


@pytest.mark.parametrize("wrong", [{"nrs.now": "11"}, {"nrs.now": "x"}, {"remark": "x" * 2001}])
def test_what_cannot_be_is_refused(
    answered: tuple[CheckIn, str], client: Client, wrong: dict[str, str]
) -> None:
    _, path = answered
    assert client.post(path, {"change": "1", "nrs.now": "6", **WELL, **wrong}).status_code == 422
    assert values()["nrs.now"] == 5


def test_after_it_has_closed_it_stands(
    answered: tuple[CheckIn, str], client: Client, clock: list[datetime]
) -> None:
    check_in, path = answered
    clock[0] = check_in.closes_at
    with pytest.raises(Refusal) as refusal:
        services.change_own_answer(check_in.pk, values={"nrs.now": 6}, now=clock[0])
    assert refusal.value.code == "closed"
    assert client.get(path).status_code == 410
    CheckIn.objects.filter(pk=check_in.pk).update(closes_at=check_in.due_at + timedelta(minutes=5))
    clock[0] = check_in.due_at + timedelta(minutes=10)  # the thanks are shown for a while longer
    assert "change=1" not in client.get(path).content.decode()
    assert client.post(path, {"change": "1", "nrs.now": "6", **WELL}).status_code == 409
    assert values()["nrs.now"] == 5
