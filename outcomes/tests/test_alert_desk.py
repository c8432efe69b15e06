"""Alerts in the admin: the worklists, a page for each, and the steps that close it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import clock, errors, levels, queries, signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import DAY, MINUTE, MONDAY, staff
from outcomes import services
from outcomes.admin.alerts.descriptions import questions, span_text
from outcomes.models import Alert, Answer, CheckIn
from outcomes.reports.alert_load import AlertLoad, alert_loads
from outcomes.tests.factories import answer_days, course_alert, red_flag_alert, red_flag_question
from procedures.tests.factories import World

ALERTS = "/admin/outcomes/alert/"


def page(alert: Alert, step: str = "change") -> str:
    return f"{ALERTS}{alert.pk}/{step}/"


def listed(client: Client, query: str = "") -> list[Alert]:
    return list(client.get(f"{ALERTS}{query}").context["cl"].result_list)


@pytest.fixture
def emergency(world: World) -> Alert:
    red_flag_question("new_weakness", "emergency")
    red_flag_question("fever_chills", "same_day")
    return red_flag_alert(world, "new_weakness", "fever_chills")


def test_what_is_most_urgent_stands_first_and_what_is_overdue_is_marked(
    world: World, client: Client, emergency: Alert
) -> None:
    lost, silent = course_alert(world, "lost_early"), course_alert(world, "silent", 3)
    Alert.objects.filter(pk=silent.pk).update(due_at=emergency.due_at)
    signed_in(world.nurse, client)
    with clock(emergency.due_at + 12 * MINUTE):
        assert listed(client) == [emergency, silent, lost]
        response = client.get(ALERTS)
        said = words(response)
        assert listed(client, "?state=overdue") == [emergency, silent]
        assert listed(client, "?kind__exact=silent") == [silent]
        assert listed(client, "?urgency__exact=routine") == [silent, lost]
    assert said.count("overdue by 12 min") == 2
    assert "look within 2 days" in said
    assert "O&#x27;Brien, Ann" in said
    counts = {str(tab["label"]): tab["count"] for tab in response.context["tabs"]}
    assert counts == {
        "all": 3,
        "red flag": 1,
        "losing relief early": 1,
        "loss of effect": 0,
        "says that the pain is back": 0,
        "no relief": 0,
        "worse than before the procedure": 0,
        "silent": 1,
        "device is due": 0,
    }


def test_mine_snoozed_and_resolved_ones_are_found(world: World, client: Client) -> None:
    mine, snoozed, done = (course_alert(world, "worse", number) for number in (2, 3, 4))
    now = mine.raised_at + MINUTE
    services.acknowledge(mine.pk, by=world.nurse, now=now)
    services.snooze(snoozed.pk, until=now + DAY, by=world.physician, now=now)
    services.resolve(done.pk, resolution="spoken", by=world.physician, now=now)
    signed_in(world.nurse, client)
    with clock(now):
        assert listed(client) == [mine]
        assert listed(client, "?owner=me") == [mine]
        assert listed(client, "?owner=nobody") == []
        assert listed(client, "?state=snoozed") == [snoozed]
        assert listed(client, "?state=resolved") == [done]
        assert listed(client, "?state=all") == [mine, snoozed, done]
    with clock(now + DAY):
        assert listed(client) == [mine, snoozed]


def test_the_page_of_an_alert_says_what_whose_and_what_to_do(
    world: World, client: Client, emergency: Alert
) -> None:
    world.patient.phone = "+1 212 555 0177"
    world.patient.save()
    signed_in(world.nurse, client)
    with clock(emergency.raised_at + MINUTE):
        response = client.get(page(emergency))
    said, html = words(response), response.content.decode()
    for text in (
        "red flag",
        "emergency",
        "look within 14 min",
        "Do you have new_weakness? Yes",
        "+1 212 555 0177",
    ):
        assert text in said
    assert 'href="tel:+12125550177"' in html
    assert 'class="course-chart"' in html
    labels = [str(step["label"]) for step in response.context["steps"]]
    assert labels == ["Acknowledge and take", "Resolve", "Hand over"]
    assert AuditEvent.objects.get(action="patient.read").by == world.nurse
    with translation.override("es"):
        assert "¿Tiene new_weakness?" in questions(emergency)


def test_list_and_page_say_when_relief_ended_and_that_nothing_confirms_it(
    world: World, client: Client
) -> None:
    follow_up = world.performed().follow_up
    follow_up.procedure.performer = world.physician
    follow_up.procedure.save()
    (alert,) = answer_days(follow_up, {42: 2, 92: 8}).alerts.all()
    signed_in(world.physician, client)
    ended = "Relief ended after day 42 and by day 92; it was expected to last until day 180 at least."
    with clock(alert.raised_at + MINUTE):
        for shown in (client.get(ALERTS), client.get(page(alert))):
            said = words(shown)
            assert ended in said
            assert "not confirmed" in said
            assert "Physician Test" in said
            assert "has not looked yet" in said
        answer_days(follow_up, {184: 8})
        services.acknowledge(alert.pk, by=world.physician, now=alert.raised_at + MINUTE)
        for shown in (client.get(ALERTS), client.get(page(alert))):
            said = words(shown)
            assert ended in said
            assert "confirmed" not in said.replace("confirmed by the next score", "")
            assert "has not looked yet" not in said


def test_one_click_takes_it_and_a_second_one_does_no_harm(
    world: World, client: Client, emergency: Alert
) -> None:
    signed_in(world.nurse, client)
    with clock(emergency.raised_at + MINUTE):
        opened = client.get(page(emergency, "acknowledge"), follow=True)
        assert opened.request["PATH_INFO"] == page(emergency, "change")
        assert levels(opened) == ["warning"]
        emergency.refresh_from_db()
        assert emergency.owner is None
        for _ in range(2):
            response = client.post(page(emergency, "acknowledge"), follow=True)
            assert "The alert is yours." in words(response)
        other = signed_in(world.physician)
        other.post(page(emergency, "acknowledge"))
        assert Alert.objects.get(pk=emergency.pk).owner == world.nurse
        assert "The alert is yours." in words(other.post(page(emergency, "take"), follow=True))
    emergency.refresh_from_db()
    assert emergency.owner == world.physician


def test_the_steps_that_need_a_word(world: World, client: Client) -> None:
    alert = course_alert(world, "lost_early")
    signed_in(world.nurse, client)
    now = world.at(MONDAY, 13)
    with clock(now):
        for step in ("hand-over", "snooze", "resolve"):
            assert client.get(page(alert, step)).status_code == 200
        given = client.post(page(alert, "hand-over"), {"to": str(world.physician.pk)})
        assert given.status_code == 302
        refused = client.post(page(alert, "hand-over"), {"to": str(world.clerk.pk)})
        assert (refused.status_code, errors(refused)) == (422, {"to": ["invalid_choice"]})
        past = client.post(page(alert, "snooze"), {"until_0": "2027-01-11", "until_1": "12:59"})
        assert (past.status_code, errors(past)) == (422, {"until": ["in_the_past"]})
        client.post(page(alert, "snooze"), {"until_0": "2027-01-12", "until_1": "09:00"})
        alert.refresh_from_db()
        assert alert.snoozed_until == world.at(MONDAY + DAY, 9)
        nothing = client.post(page(alert, "resolve"), {"note": "called twice"})
        assert (nothing.status_code, errors(nothing)) == (422, {"resolution": ["reason_required"]})
        assert 'value="called twice"' in nothing.content.decode()
        done = client.post(
            page(alert, "resolve"), {"resolution": "spoken", "note": "called twice"}, follow=True
        )
        assert "The alert is resolved." in words(done)
        assert client.post(page(alert, "resolve"), {"resolution": "seen"}).status_code == 409
        for response in (client.get(page(alert, "resolve"), follow=True),):
            assert "This alert is resolved already." in words(response)
        assert client.get(page(alert)).context["steps"] == []
    alert.refresh_from_db()
    assert (alert.resolution, alert.resolution_note, alert.resolved_by) == (
        "spoken",
        "called twice",
        world.nurse,
    )


def test_who_may_only_look_does_nothing(world: World, client: Client, emergency: Alert) -> None:
    signed_in(world.clerk, client)
    with clock(emergency.raised_at):
        assert client.get(page(emergency)).context["steps"] == []
        for step in ("acknowledge", "take", "hand-over", "snooze", "resolve"):
            assert client.post(page(emergency, step), {"resolution": "spoken"}).status_code == 403
    emergency.refresh_from_db()
    assert (emergency.owner, emergency.resolved_at) == (None, None)


def test_another_sites_alert_does_not_exist(world: World, client: Client, emergency: Alert) -> None:
    elsewhere = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    signed_in(staff("far@example.org", "Nurse", elsewhere), client)
    assert listed(client, "?state=all") == []
    for step in ("change", "hand-over", "snooze", "resolve"):
        assert client.get(page(emergency, step)).status_code == 404
    assert client.post(page(emergency, "acknowledge")).status_code == 404


def test_the_list_asks_no_more_for_many_than_for_few(world: World, client: Client) -> None:
    signed_in(world.nurse, client)
    for number in range(2, 5):
        course_alert(world, "worse", number)
    with clock(world.at(MONDAY, 13)):
        few = queries(lambda: client.get(ALERTS))
        for number in range(5, 20):
            course_alert(world, "worse", number)
        assert queries(lambda: client.get(ALERTS)) <= few


def test_the_load_counts_alerts_for_answers_and_what_was_acted_on(world: World) -> None:
    answer_days(world.performed().follow_up, {1: 3, 7: 3, 14: 3})
    now = Answer.objects.latest("answered_at").answered_at
    for number, resolution in enumerate(("spoken", "no_action", ""), start=2):
        alert = course_alert(world, "worse", number)
        if resolution:
            services.resolve(alert.pk, resolution=resolution, by=world.nurse, now=now)
    course_alert(world, "worse", 9, raised_at=now - 31 * DAY)
    with CaptureQueriesContext(connection) as asked:
        loads = alert_loads([world.site.pk], now=now)
    assert len(asked) == 2
    counted = loads[world.site.pk]
    assert counted == AlertLoad(raised=3, resolved=2, acted=1, answers=3)
    assert counted.acted_on
    assert (counted.per_100, counted.acted_on.value) == (100, 0.5)
    assert alert_loads([world.site.pk], now=now - 400 * DAY) == {}
    assert (AlertLoad().per_100, AlertLoad().acted_on) == (None, None)


def test_the_load_is_the_same_in_the_list_the_overview_and_by_api(world: World, client: Client) -> None:
    """An answer that was voided afterwards, or of a site of others, counts nowhere."""
    answer_days(world.performed().follow_up, {1: 3, 7: 3, 14: 3})
    now = Answer.objects.latest("answered_at").answered_at
    CheckIn.objects.filter(answer=Answer.objects.earliest("answered_at")).update(status="voided")
    for number, resolution in enumerate(("spoken", ""), start=2):
        alert = course_alert(world, "worse", number, raised_at=now - 2 * DAY, due_at=now - DAY)
        if resolution:
            services.resolve(alert.pk, resolution=resolution, by=world.nurse, now=now)
    with clock(now):
        said = words(signed_in(world.nurse, client).get(ALERTS))
        (site,) = call(world.physician, "GET", "reports/overview/", now=now).json()["sites"]
    assert "2 alerts, 2 answers; 100.0 alerts for 100 answers; acted on: 1 of 1 resolved (100 %)" in said
    assert (site["alerts_raised"], site["answers"], site["alerts_per_100"]) == (2, 2, 100)
    assert site["acted_on"]["value"] == 1


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "0 min"), (59, "59 min"), (60, "1 h"), (2879, "47 h"), (2880, "2 days"), (9999, "6 days")],
)
def test_spans_are_said_as_people_say_them(minutes: int, said: str) -> None:
    assert span_text(minutes * MINUTE) == said


def test_a_site_ticks_what_it_does_not_want(world: World, client: Client) -> None:
    signed_in(world.admin, client)
    address = f"/admin/clinic/site/{world.site.pk}/change/"
    form = client.get(address).context["adminform"].form
    assert [value for value, _ in form.fields["alert_kinds_off"].choices] == [
        kind for kind in Alert.Kind.values if kind != "red_flag"
    ]
    sent = {field.html_name: field.value() for field in form if field.value() not in (None, False, [])} | {
        "alert_kinds_off": ["silent", "worse"]
    }
    assert client.post(address, sent).status_code == 302
    world.site.refresh_from_db()
    assert world.site.alert_kinds_off == ["silent", "worse"]
    sent["alert_kinds_off"] = ["red_flag"]
    assert errors(client.post(address, sent)) == {"alert_kinds_off": ["invalid_choice"]}
