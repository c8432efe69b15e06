"""The patient's pages on a small screen: by touch and by the keyboard alone, with and without JavaScript, in English
and Spanish."""

import re
from datetime import date
from typing import Any

import pytest

from clinic.models import Site
from outcomes.models import Alert, Answer, CheckIn
from outcomes.tests.site.browser_actions import hand, said
from patients.models import Patient
from procedures.models import Appointment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HANDS, LANGUAGES = ("touch", "keys"), ("en", "es")
#: A pair that differs in everything.
BOTH = [("touch", "en", False), ("keys", "es", True)]


def heading(page: Any, words: str) -> None:
    """Wait for the page with that heading."""
    page.get_by_role("heading", name=words, exact=True).wait_for()


def missing(its: Any, language: str) -> None:
    """Wait for the page that asks once more for what was left empty."""
    heading(its.page, said(language, "Something is missing"))


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", HANDS)
def test_answering(browser: Any, link: str, kind: str, language: str, scripts: bool) -> None:
    its = hand(browser, kind, scripts=scripts)
    page = its.page
    page.goto(link)
    if language == "es":
        its.press("Español")
        page.get_by_text("Paso 1 de 3").wait_for()
    its.choose("nrs.now", 7)
    its.choose("nrs.worst_24_hours", 9)
    its.press(said(language, "Go on"))
    page.get_by_text(re.compile("2 (of|de) 3")).wait_for()
    its.tick("none", "emergency")
    its.tick("none", "same_day")
    its.press(said(language, "Go on"))
    page.get_by_text(re.compile("3 (of|de) 3")).wait_for()
    its.choose("pgic.change", 2)
    its.write("remark", "Merci <b>")
    its.press(said(language, "Send"))
    missing(its, language)  # the PEG
    its.press(said(language, "Send"))
    heading(page, said(language, "Thank you"))
    before, today = said(language, "Before"), said(language, "Today")
    assert page.locator("figcaption").inner_text() == f"{before}: 8. {today}: 7."
    answer = Answer.objects.get()
    assert {f"{m.instrument}.{m.item}": m.value for m in answer.measurements.all()} == {
        "nrs.now": 7,
        "nrs.worst_24_hours": 9,
        "red_flag.new_weakness": 0,
        "red_flag.fever_chills": 0,
        "pgic.change": 2,
    }
    assert (answer.remark, answer.language, answer.channel) == ("Merci <b>", language, "email")
    page.goto(f"{link}?lang={language}&step=3")
    heading(page, said(language, "Thank you"))
    assert Answer.objects.count() == 1


@pytest.mark.parametrize(("kind", "language", "scripts"), BOTH)
def test_enter_sends_the_step_and_does_not_switch_the_language(
    browser: Any, link: str, kind: str, language: str, scripts: bool
) -> None:
    its = hand(browser, kind, scripts=scripts)
    its.page.goto(f"{link}?lang={language}")
    its.choose("nrs.now", 3)
    its.choose("nrs.worst_24_hours", 3)
    its.page.keyboard.press("Enter")
    its.page.get_by_text(re.compile("2 (of|de) 3")).wait_for()
    assert its.page.locator("html").get_attribute("lang") == language


@pytest.mark.parametrize(("kind", "language", "scripts"), BOTH)
def test_a_red_flag(browser: Any, link: str, kind: str, language: str, scripts: bool) -> None:
    its = hand(browser, kind, scripts=scripts)
    its.page.goto(f"{link}?lang={language}")
    its.choose("nrs.now", 7)
    its.choose("nrs.worst_24_hours", 9)
    its.press(said(language, "Go on"))
    its.page.get_by_text(re.compile("2 (of|de) 3")).wait_for()
    its.tick("red_flag.new_weakness", "1")
    its.press(said(language, "Go on"))  # the other group is empty
    heading(its.page, said(language, "Call %(phone)s now") % {"phone": "911"})
    assert Alert.objects.get().urgency == Alert.Urgency.EMERGENCY
    its.press(said(language, "Go on"))
    missing(its, language)
    its.press(said(language, "Go on"))
    its.page.get_by_text(re.compile("3 (of|de) 3")).wait_for()
    its.press(said(language, "Send"))
    missing(its, language)
    its.press(said(language, "Send"))
    heading(its.page, said(language, "Thank you"))
    heading(its.page, said(language, "Call %(phone)s now") % {"phone": "911"})  # still, above the thanks


@pytest.mark.parametrize(("kind", "language", "scripts"), BOTH)
def test_the_birth_date(browser: Any, link: str, kind: str, language: str, scripts: bool) -> None:
    Site.objects.update(asks_birth_date=True)
    born = Patient.objects.get().born_on
    its = hand(browser, kind, scripts=scripts)
    its.page.goto(f"{link}?lang={language}")

    def give(day: date) -> None:
        order = ("day", "month", "year") if language == "es" else ("month", "day", "year")
        for part in order:
            its.page.locator(f"[name={part}]").fill("")  # what was typed before is still there
            its.page.evaluate("document.activeElement.blur()")
            its.write(part, str(getattr(day, part)))
        its.press(said(language, "Go on"))

    give(born.replace(day=born.day + 1))
    its.page.get_by_role("alert").wait_for()
    give(born)
    its.page.get_by_text(re.compile("1 (of|de) 3")).wait_for()
    its.page.goto(link)
    its.page.get_by_text(re.compile("1 (of|de) 3")).wait_for()  # it is remembered


@pytest.mark.parametrize(("kind", "language", "scripts"), BOTH)
def test_a_diary(browser: Any, diary: str, kind: str, language: str, scripts: bool) -> None:
    its = hand(browser, kind, scripts=scripts)
    its.page.goto(f"{diary}?lang={language}")
    first, second = CheckIn.objects.filter(offset_minutes__in=[30, 60]).order_by("offset_minutes")
    its.press(said(language, "not filled in yet"))  # opens the hour that was missed
    its.choose(f"nrs.now-{first.pk}", 4)
    its.choose(f"nrs.now-{second.pk}", 2)
    its.press(said(language, "Save"))
    missing(its, language)  # whether pain medicine was taken
    its.press(said(language, "Save"))
    its.page.get_by_role("status").wait_for()
    answers = Answer.objects.order_by("check_in__offset_minutes")
    assert [(answer.late, answer.measurements.get().value) for answer in answers] == [(True, 4), (False, 2)]
    its.page.get_by_text(said(language, "comes later")).wait_for()


@pytest.mark.parametrize(("kind", "language", "scripts"), BOTH)
def test_stopping_the_emails(browser: Any, link: str, kind: str, language: str, scripts: bool) -> None:
    its = hand(browser, kind, scripts=scripts)
    its.page.goto(f"{link}?lang={language}")
    its.press(said(language, "Stop sending me these e-mails"))
    heading(its.page, said(language, "Stop e-mails?"))
    assert not Patient.objects.get().opted_out_at
    its.press(said(language, "Stop all e-mails"))
    heading(its.page, said(language, "No more e-mails"))
    assert Patient.objects.get().opted_out_at


@pytest.mark.parametrize(("kind", "language", "scripts"), BOTH)
def test_the_letters_pages(
    browser: Any, letters: dict[str, str], kind: str, language: str, scripts: bool
) -> None:
    its = hand(browser, kind, scripts=scripts)
    its.page.goto(f"{letters['appointment']}?lang={language}")
    its.press(said(language, "I will come"))
    its.page.get_by_text(said(language, "Thank you. You told us that you will come.")).wait_for()
    assert Appointment.objects.get().status == Appointment.Status.CONFIRMED
    its.press(said(language, "I need another time"))
    its.page.get_by_role("status").wait_for()
    its.page.goto(f"{letters['unsubscribe']}?lang={language}")
    its.press(said(language, "Stop all e-mails"))
    heading(its.page, said(language, "No more e-mails"))
    assert Patient.objects.filter(opted_out_at__isnull=False).count() == 1
