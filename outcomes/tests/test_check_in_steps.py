"""The page step by step: each step is kept, a red flag is heard at once, and the end shows the same thanks."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.models import AuditEvent
from clinic.tests.admin_client import words
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn, Draft
from outcomes.questions import URGENCIES
from outcomes.tests.factories import insist
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]
EMERGENCY, SAME_DAY, LATER = (f"red_flags.{urgency}" for urgency in URGENCIES)
#: As the pages of before said it, one by one: such a page may still be open in a browser.
ALL_WELL = {"red_flag.new_weakness": "0", "red_flag.fever_chills": "0", "red_flag.burning": "0"}


def send(client: Client, path: str, step: int, **values: str) -> str:
    """Send one step, and what the page says that it leads to."""
    data = {"step": str(step)} | {key.replace("__", "."): value for key, value in values.items()}
    response = insist(client, path, data, follow=True)
    assert response.status_code == 200, words(response)
    return words(response)


def test_day_7_in_three_screens_and_what_is_stored(flags: World, link: Issue, client: Client) -> None:
    _, path = link(7)
    assert "Step 1 of 2" in words(client.get(path))
    said = send(client, path, 1, nrs__now="3", nrs__average_7_days="4", nrs__worst_24_hours="7")
    assert "Step 2 of 2" in said
    assert "Weakness in a leg?" in said
    assert not Answer.objects.exists()
    said = words(client.post(path, {"step": "2", "remark": "Thanks", **ALL_WELL}, follow=True))
    assert "Thank you" in said
    assert "Before: 8. Today: 3." in said
    answer = Answer.objects.get()
    assert answer.remark == "Thanks"
    assert {f"{m.instrument}.{m.item}": m.value for m in answer.measurements.all()} == {
        "nrs.now": 3,
        "nrs.average_7_days": 4,
        "nrs.worst_24_hours": 7,
        **{key: int(value) for key, value in ALL_WELL.items()},
    }
    assert not Alert.objects.exists()


def test_who_comes_back_goes_on_where_he_stopped(flags: World, link: Issue, client: Client) -> None:
    _, path = link(7)
    send(client, path, 1, nrs__now="3")
    later = Client()  # another browser, the same link
    page = later.get(path)
    assert "Step 2 of 2" in words(page)
    back = later.post(path, {"step": "2", "back": "1", "red_flag.burning": "0"}, follow=True)
    assert "Step 1 of 2" in words(back)
    assert re.search(r'name="nrs.now" value="3" checked', back.content.decode())
    assert Draft.objects.get().values == {"nrs.now": 3, "red_flag.burning": 0}
    assert "Step 2 of 2" in words(later.get(path))


def test_a_reminders_own_link_opens_where_the_patient_stopped(
    flags: World, link: Issue, client: Client, clock: list[datetime]
) -> None:
    _, path = link(7)
    send(client, path, 1, nrs__now="3")
    clock[0] += timedelta(days=1)
    assert services.remind_due(now=clock[0])["reminded"] == 1
    outbox.send_due(now=clock[0])
    (message,) = (message for message in mail.outbox if message.subject.startswith("A reminder"))
    found = re.search(r"/c/[^/\s]+/", str(message.body))
    assert found
    assert found[0] != path
    assert "Step 2 of 2" in words(Client().get(found[0]))


def test_a_step_ahead_cannot_be_opened(flags: World, link: Issue, client: Client) -> None:
    _, path = link(7)
    for step in ("2", "9", "-1", "x", "²", "00000002"):
        assert "Step 1 of 2" in words(client.get(path, {"step": step}))
    # Nor can the last step be sent without the first.
    assert "Step 1 of 2" in words(client.post(path, {"step": "2", **ALL_WELL}, follow=True))
    assert not Answer.objects.exists()


def test_the_other_language_keeps_what_was_typed(flags: World, link: Issue, client: Client) -> None:
    _, path = link(7)
    page = client.post(path, {"step": "1", "nrs.now": "6", "lang": "es"}, follow=True)
    assert '<html lang="es">' in page.content.decode()
    assert 'name="nrs.now" value="6" checked' in page.content.decode()
    said = words(insist(client, page.redirect_chain[-1][0], {"step": "1", "nrs.now": "6"}, follow=True))
    assert "¿Debilidad en una pierna?" in said
    assert "Paso 2 de 2" in said


def test_a_yes_raises_the_alert_and_says_at_once_what_to_do(
    flags: World, link: Issue, client: Client
) -> None:
    check_in, path = link(7)
    send(client, path, 1, nrs__now="9")
    response = client.post(path, {"step": "2", **ALL_WELL, "red_flag.new_weakness": "1"}, follow=True)
    html = response.content.decode()
    alert = Alert.objects.get()
    assert (alert.check_in, alert.codes, alert.urgency) == (check_in, ["new_weakness"], "emergency")
    assert response.context["advice"] == ("emergency", ["Weakness in a leg?"])
    assert 'href="tel:911"' in html
    assert 'href="tel:+12125550100"' in html
    assert html.index('href="tel:911"') < html.index("<h2>Thank you")


def test_on_a_device_the_alert_comes_before_the_last_step(flags: World, link: Issue, client: Client) -> None:
    flags.ablation.purpose = "device_implant"
    flags.ablation.save()
    _, path = link(42)
    send(client, path, 1, nrs__now="5", nrs__worst_24_hours="6")
    response = client.post(path, {"step": "2", **ALL_WELL, "red_flag.fever_chills": "1"}, follow=True)
    assert response.context["advice"] == ("same_day", ["Fever or chills?"])
    assert 'href="?lang=es&amp;show=help&amp;step=3"' in response.content.decode()
    spanish = words(client.get(path + "?lang=es&show=help&step=3"))
    assert "Usted respondió que sí a: ¿Fiebre o escalofríos?" in spanish
    assert Alert.objects.get().codes == ["fever_chills"]
    assert not Answer.objects.exists()  # the rest is still to come
    last = client.get(path)
    assert "Step 3 of 3" in words(last)
    assert last.context["advice"].urgency == "same_day"
    assert "Thank you" in send(client, path, 3, pgic__change="6", peg__pain="7")
    assert client.get(path).context["advice"].urgency == "same_day"
    assert Alert.objects.count() == 1
    changes = AuditEvent.objects.filter(action="alert.raised")
    assert [event.actor for event in changes] == ["patient"]


def test_a_yes_leads_to_the_help_page_though_the_rest_of_the_step_is_missing_or_wrong(
    flags: World, link: Issue, client: Client
) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    response = client.post(path, {"step": "2", "red_flag.new_weakness": "1"}, follow=True)
    assert response.redirect_chain == [(f"{path}?show=help&step=2&again=1", 302)]
    assert Alert.objects.get().codes == ["new_weakness"]
    html = response.content.decode()
    assert "<title>What to do now" in html
    assert "Call 911 now" in html[html.index("<h1") : html.index("</h1>")]
    assert 'href="?lang=en&amp;step=2&amp;again=1"' in html
    # What is missing is asked afterwards, once, below the box about the emergency.
    asked = client.get(f"{path}?step=2&again=1").content.decode()
    assert asked.index("<h1 >Call 911 now") < asked.index('id="faults"')
    assert re.findall(r'name="asked" value="([^"]+)"', asked) == [SAME_DAY, LATER]
    assert "autofocus" not in asked  # the page opens at its top
    sent = {"step": "2", "red_flag.new_weakness": "1"}
    thanks = client.post(path, {**sent, "asked": [SAME_DAY, LATER]}, follow=True)
    assert "Thank you" in words(thanks)
    given = Answer.objects.get().measurements.filter(instrument="red_flag")
    assert list(given.values_list("item", "value")) == [("new_weakness", 1)]  # nothing is made up
    assert Alert.objects.count() == AuditEvent.objects.filter(action="alert.raised").count() == 1


def test_a_yes_is_kept_and_told_once_though_nothing_else_is_ever_answered(
    flags: World, link: Issue, client: Client, clock: list[datetime]
) -> None:
    check_in, path = link(1)
    for _ in range(2):
        client.post(path, {"step": "2", "red_flag.new_weakness": "1"})
    assert Draft.objects.get().values == {"red_flag.new_weakness": 1}
    clock[0] = check_in.closes_at + timedelta(hours=1)
    services.tick(now=clock[0])
    assert not Answer.objects.exists()
    assert Draft.objects.get().values == {"red_flag.new_weakness": 1}
    alert = Alert.objects.get()
    assert (alert.codes, alert.check_in, alert.resolved_at) == (["new_weakness"], check_in, None)
    assert AuditEvent.objects.filter(action="alert.raised").count() == 1


@pytest.mark.parametrize(
    ("more", "to"),
    [
        ({"back": "1"}, "?show=help&step=1"),
        ({"lang": "es"}, "?lang=es&show=help&step=2"),
        ({"remark": "a" * 2001, "none": ["same_day", "next_working_day"]}, "?show=help&step=2"),
        ({"red_flag.burning": "x"}, "?show=help&step=2&again=1"),
    ],
)
def test_a_yes_leads_there_whatever_else_is_sent_with_it(
    flags: World, link: Issue, client: Client, more: dict[str, Any], to: str
) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    response = client.post(path, {"step": "2", "red_flag.new_weakness": "1", **more}, follow=True)
    assert response.redirect_chain[-1][0] == path + to
    assert 'href="tel:911"' in response.content.decode()
    assert Alert.objects.get().codes == ["new_weakness"]


def test_what_can_wait_says_so(flags: World, link: Issue, client: Client) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    page = client.post(path, {"step": "2", **ALL_WELL, "red_flag.burning": "1"}, follow=True)
    assert page.context["advice"].urgency == "next_working_day"


def test_silence_is_no_no_and_is_asked_once(flags: World, link: Issue, client: Client) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    response = client.post(path, {"step": "2", "none": "next_working_day", "remark": "Well"})
    assert response.status_code == 422
    html = response.content.decode()
    assert re.findall(r'name="asked" value="([^"]+)"', html) == [EMERGENCY, SAME_DAY]
    assert '<a href="#red_flags-emergency">' in html  # the summary leads to each of them
    assert 'name="none" value="next_working_day" checked' in html
    assert ">\nWell</textarea>" in html
    assert not Answer.objects.exists()
    again = {"step": "2", "none": "next_working_day", "asked": [EMERGENCY, SAME_DAY]}
    assert client.post(path, again).status_code == 302
    given = Answer.objects.get().measurements.filter(instrument="red_flag")
    assert list(given.values_list("item", "value")) == [("burning", 0)]
    assert not Alert.objects.exists()


def test_none_of_these_answers_a_whole_group_and_a_yes_beside_it_counts(
    flags: World, link: Issue, client: Client
) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    client.post(path, {"step": "2", "none": list(URGENCIES), "red_flag.fever_chills": "1"})
    given = Answer.objects.get().measurements.filter(instrument="red_flag").order_by("item")
    assert list(given.values_list("item", "value")) == [
        ("burning", 0),
        ("fever_chills", 1),
        ("new_weakness", 0),
    ]
    assert Alert.objects.get().codes == ["fever_chills"]


def test_the_red_flags_are_boxes_by_urgency(flags: World, link: Issue, client: Client) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    html = client.get(path).content.decode()
    assert 'type="radio"' not in html
    boxes = re.findall(r'type="checkbox" name="([\w.]+)" value="(\w+)"', html)
    assert boxes == [
        *(("red_flag.new_weakness", "1"), ("none", "emergency")),
        *(("red_flag.fever_chills", "1"), ("none", "same_day")),
        *(("red_flag.burning", "1"), ("none", "next_working_day")),
    ]
    spanish = words(client.get(f"{path}?lang=es"))
    assert spanish.count("Nada de esto") == 3


def test_a_box_that_is_unticked_again_is_not_kept(flags: World, link: Issue, client: Client) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    client.post(path, {"step": "2", "red_flag.new_weakness": "1"})
    none = {"step": "2", "none": ["same_day", "next_working_day"]}
    assert client.post(path, none).status_code == 422
    assert "new_weakness" not in str(Draft.objects.get().values)
    assert client.post(path, {**none, "asked": EMERGENCY}).status_code == 302
    assert not Answer.objects.get().measurements.filter(item="new_weakness").exists()
    assert Alert.objects.get().codes == ["new_weakness"]  # somebody still looks at it


def test_a_peg_left_empty_is_asked_once_and_then_not_answered(
    flags: World, link: Issue, client: Client
) -> None:
    _, path = link(42)
    send(client, path, 1, nrs__now="5", nrs__worst_24_hours="6")
    refused = client.post(path, {"step": "2", "peg.pain": "4", "pgic.change": "2"})
    assert refused.status_code == 422
    asked = re.findall(r'name="asked" value="([^"]+)"', refused.content.decode())
    assert {"peg.enjoyment", "peg.activity"} <= set(asked)
    assert not {"peg.pain", "pgic.change"} & set(asked)
    client.post(path, {"step": "2", "peg.pain": "4", "pgic.change": "2", "asked": asked})
    items = Answer.objects.get().measurements.filter(instrument="peg").values_list("item", "value")
    assert list(items) == [("pain", 4)]


@pytest.mark.parametrize("day", [1, 7])
def test_without_the_pain_there_is_no_answer_and_no_loop(
    flags: World, link: Issue, client: Client, day: int
) -> None:
    _, path = link(day)
    assert client.post(path, {"step": "1"}).status_code == 422
    every = ["nrs.now", "nrs.average_7_days", "nrs.worst_24_hours"]
    assert "Step 2 of 2" in words(client.post(path, {"step": "1", "asked": every}, follow=True))
    none = {"step": "2", "none": list(URGENCIES), "remark": "Well"}
    said = client.post(path, none, follow=True)
    assert said.redirect_chain[-1][0] == f"{path}?show=kept"
    assert said.status_code == 200
    assert not Answer.objects.exists()
    assert Draft.objects.get().remark == "Well"
    assert "Fal" in words(client.get(f"{path}?show=kept&lang=es"))
    send(client, path, 1, nrs__now="4")
    client.post(path, none)
    assert Answer.objects.get().measurements.get(item="now").value == 4


@pytest.mark.parametrize("value", ["2", "-1", "yes", "", "1.0", "１"])
def test_bad_values_are_said_to_be_bad(flags: World, link: Issue, client: Client, value: str) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    bad = {"step": "2", **ALL_WELL, "red_flag.burning": value}
    assert client.post(path, bad).status_code == 422
    optional = {"step": "1", "nrs.now": "5", "nrs.average_7_days": "11"}
    _, path = link(7)
    assert client.post(path, optional).status_code == 422
    assert not Answer.objects.exists()


def test_a_remark_of_any_kind_is_taken_or_refused_with_the_rest_kept(
    flags: World, link: Issue, client: Client
) -> None:
    _, path = link(1)
    send(client, path, 1, nrs__now="5")
    long = client.post(path, {"step": "2", "remark": "a" * 100_000, **ALL_WELL})
    assert long.status_code == 422
    assert long.content.decode().count(" checked") == 3
    assert not Answer.objects.exists()
    remark = "<script>alert(1)</script>\x00\x1b[31m\r\n\u202eok & ü"
    client.post(path, {"step": "2", "remark": remark, **ALL_WELL})
    assert Answer.objects.get().remark == "<script>alert(1)</script>[31m\nok & ü"


def test_markup_in_a_remark_stays_text(flags: World, link: Issue, client: Client) -> None:
    _, path = link(1)
    kept = {"step": "2", "remark": "</textarea><script>", "back": "1"}
    client.post(path, kept)
    send(client, path, 1, nrs__now="5")
    html = client.get(path).content.decode()
    assert "&lt;/textarea&gt;&lt;script&gt;" in html
    assert "<script" not in html


def test_a_double_click_shows_the_same_thanks(flags: World, link: Issue, client: Client) -> None:
    _, path = link(1)
    client.post(path, {"step": "1", "nrs.now": "5"})
    sent, again = (client.post(path, {"step": "2", **ALL_WELL}, follow=True) for _ in range(2))
    assert sent.content == again.content
    assert client.post(path, {"step": "1", "nrs.now": "5"}, follow=True).content == sent.content
    assert Answer.objects.count() == 1
    assert not Draft.objects.exists()


def test_who_has_begun_may_still_send_after_the_check_in_closed(
    flags: World, link: Issue, client: Client, clock: list[datetime]
) -> None:
    check_in, path = link(1)
    clock[0] = check_in.closes_at - timedelta(minutes=5)
    send(client, path, 1, nrs__now="5")
    clock[0] = check_in.closes_at + timedelta(minutes=24)
    services.close_past(now=clock[0])
    assert client.get(path).status_code == 200
    said = words(client.post(path, {"step": "2", **ALL_WELL}, follow=True))
    assert "Thank you" in said
    check_in.refresh_from_db()
    assert check_in.status == CheckIn.Status.ANSWERED
    clock[0] += timedelta(minutes=31)
    assert client.get(path).status_code == 410


def test_who_pauses_for_too_long_is_not_taken(
    flags: World, link: Issue, client: Client, clock: list[datetime]
) -> None:
    check_in, path = link(1)
    clock[0] = check_in.closes_at - timedelta(minutes=5)
    send(client, path, 1, nrs__now="5")
    clock[0] = check_in.closes_at + timedelta(minutes=25)
    services.close_past(now=clock[0])
    assert client.post(path, {"step": "2", **ALL_WELL}).status_code == 410
    assert not Answer.objects.exists()
    # And who never began has no grace at all.
    check_in, path = link(7)
    clock[0] = check_in.closes_at
    assert client.post(path, {"step": "1", "nrs.now": "5"}).status_code == 410
    assert not Draft.objects.filter(check_in=check_in).exists()


def test_looking_neither_begins_nor_changes_a_draft(flags: World, link: Issue, client: Client) -> None:
    _, path = link(7)
    for query in ("", "?step=2", "?lang=es", "?show=help&step=2"):
        for method in (client.get, client.head):
            method(path + query, headers={"Purpose": "prefetch", "Sec-Purpose": "prefetch"})
    assert not Draft.objects.exists()
    send(client, path, 1, nrs__now="3")
    before = Draft.objects.values().get()
    for query in ("", "?step=1", "?lang=es", "?show=help"):
        client.get(path + query)
    assert Draft.objects.values().get() == before
    assert not Alert.objects.exists()


def test_the_thanks_tell_the_course_and_no_verdict(flags: World, link: Issue, client: Client) -> None:
    for day, score in ((1, 5), (7, 4)):
        check_in, path = link(day)
        services.store_answer(
            check_in.pk,
            values={"nrs.now": score},
            channel="phone",
            language="en",
            by=None,
            now=check_in.due_at,
        )
    response = client.get(path)
    html = response.content.decode()
    assert "Before: 8. Day 1: 5. Today: 4." in html
    assert '<svg class="own-curve"' in html
    assert not re.search(r"relief|early|window|lost|verdict|success|fail", words(response).lower())
    assert "O'Brien" not in html
    assert "Radiofrequency" not in html


def test_later_the_thanks_name_the_day(
    flags: World, link: Issue, client: Client, clock: list[datetime]
) -> None:
    check_in, path = link(7)
    services.store_answer(
        check_in.pk, values={"nrs.now": 4}, channel="email", language="en", by=None, now=check_in.due_at
    )
    clock[0] = check_in.due_at + timedelta(days=1)
    assert "Before: 8. Day 7: 4." in words(client.get(path))


def test_a_page_and_its_style_are_small(flags: World, link: Issue, client: Client) -> None:
    """All that a phone loads for a page: the page and one style sheet, uncompressed."""
    style = (Path(settings.BASE_DIR) / "clinic/static/clinic/page.css").stat().st_size
    for number in range(12):
        flag = flags.ablation.red_flags.model.objects.create(
            code=f"flag_{number}",
            question="q" * 130,
            question_es="p" * 150,
            urgency="same_day",
            source="test",
        )
        flags.ablation.red_flags.add(flag)
    flags.ablation.purpose = "device_implant"
    flags.ablation.save()
    _, path = link(42)
    sizes = [len(client.get(path).content)]
    client.post(path, {"step": "1", "nrs.now": "5"})
    sizes.append(len(client.get(path).content))
    yes = {flag.code: "1" for flag in flags.ablation.red_flags.all()}
    help_page = client.post(
        path, {"step": "2"} | {f"red_flag.{code}": said for code, said in yes.items()}, follow=True
    )
    sizes += [len(help_page.content), len(client.get(path).content)]
    sizes.append(len(client.post(path, {"step": "3"}, follow=True).content))
    assert len(sizes) == 5
    assert max(sizes) + style <= 30_000, (sizes, style)


def test_what_the_page_asks_the_database(
    flags: World, link: Issue, client: Client, django_assert_num_queries: Any
) -> None:
    """Link and check-in, follow-up, the days of its other check-ins, red flags: four for every look."""
    _, path = link(42)
    client.get(path)
    with django_assert_num_queries(4):
        client.get(path)
    with django_assert_num_queries(4 + 5):  # a savepoint and its end, two locks, the draft
        client.post(path, {"step": "1", "nrs.now": "5", "nrs.worst_24_hours": "6"})
    with django_assert_num_queries(4 + 2):  # once the pain is known: has relief worn off?
        client.get(path)
    insist(client, path, {"step": "2"})
    with django_assert_num_queries(4 + 3):  # what was said to the red flags, and the curve
        client.get(path)


def test_sixty_a_minute_are_enough(link: Issue, client: Client) -> None:
    _, path = link(1)
    statuses = [client.post(path, {"step": "1"}).status_code for _ in range(61)]
    assert statuses == [422] * 60 + [429]
    assert client.get(path).status_code == 200  # looking is free
    slow = client.post(path, {"step": "1"})
    assert slow["Retry-After"] == "60"
    # By link as well as by address: from elsewhere this link waits, and from here every other link.
    assert client.post(path, {"step": "1"}, REMOTE_ADDR="192.0.2.7").status_code == 429
    assert client.post("/c/unknown/", {"step": "1"}).status_code == 429
    assert client.post("/c/unknown/", {"step": "1"}, REMOTE_ADDR="192.0.2.8").status_code == 410
    assert client.post(path + "stop/").status_code == 429


def test_elsewhere_the_check_of_origins_is_as_strict_as_ever(world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.get("/admin/login/", secure=True)
    token = browser.cookies["csrftoken"].value
    data = {"username": "a", "password": "b", "csrfmiddlewaretoken": token}
    for headers in ({"Origin": "null"}, {}):
        assert browser.post("/admin/login/", data, headers=headers, secure=True).status_code == 403
