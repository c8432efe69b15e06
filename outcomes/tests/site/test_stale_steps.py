"""The pages on which one thing is done with a row: nothing is done that the reader has not seen as it stands."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from clinic.admin.stale import SEEN, SHOWN
from clinic.models import Closure
from clinic.tests.desk import clock, signed_in, version_on, words
from conftest import MONDAY, World
from outcomes import services as outcomes
from outcomes.models import FollowUp
from outcomes.tests.site.test_matching_tags import everything, rows_of
from outcomes.tests.test_adverse_events import recorded as event_of
from patients.models import Patient
from procedures import services
from procedures.admin.steps import STEPS
from procedures.models import Appointment, WaitlistEntry
from procedures.tests.test_waiting import join

#: What stands in the place of a row's kind in the addresses of the API.
KINDS = {
    "patients/patient": "patients/",
    "patients/opioiduse": "patients/<int:patient>/opioids/",
    "procedures/appointment": "appointments/",
    "procedures/procedure": "procedures/",
    "procedures/implanteddevice": "devices/",
    "procedures/waitlistentry": "waitlist/",
    "outcomes/followup": "follow-ups/",
    "outcomes/checkin": "check-ins/",
    "outcomes/alert": "alerts/",
    "outcomes/adverseevent": "adverse-events/",
}
#: Pages with a row's number that save nothing, and those whose one button the row's own state guards.
OTHERS = {
    *("procedures_appointment_digits", "outcomes_checkin_paper", "outcomes_checkin_call"),
    *("procedures_waitlistentry_asked", "procedures_waitlistentry_withdrawn"),
    *("outcomes_alert_acknowledge", "outcomes_alert_take"),
    *("patients_patient_merge", "patients_patient_course"),
}


def pages() -> Iterator[tuple[str, str]]:
    """(kind of row, address below it) of every page that does one thing with a row."""
    for one in admin.site.get_urls():
        kind = str(one.pattern).strip("/")
        for page in getattr(one, "url_patterns", []) if kind in KINDS else []:
            path, name = str(page.pattern), page.name or ""
            if name == "procedures_appointment_step":
                yield from ((kind, f"{step}/") for step in STEPS)
            elif path.startswith("<int:pk>/") and name not in OTHERS:
                yield kind, path.removeprefix("<int:pk>/")


@pytest.mark.parametrize(("kind", "page"), sorted(pages()), ids=lambda part: part)
def test_a_page_that_does_not_say_what_it_showed_does_nothing(world: World, kind: str, page: str) -> None:
    _address, row, _changes = rows_of(world, KINDS[kind])
    if (kind, page) == ("outcomes/checkin", "correct/"):
        said: dict[str, Any] = {"channel": "phone", "language": "en", "remark": "", "values": {"nrs.now": 4}}
        outcomes.record_answer(row.pk, **said, by=world.nurse, now=row.opens_at)  # type: ignore[attr-defined]
    if page == "deceased/":
        Patient.objects.filter(pk=row.pk).update(died_on=MONDAY)
    page = page.replace("<int:other>", str(Patient.objects.latest("pk").pk))
    before = everything()
    browser = signed_in(world.admin, Client())
    with clock(world.now):
        answer = browser.post(f"/admin/{kind}/{row.pk}/{page}", {})
        assert answer.status_code in (302, 409)
        if answer.status_code == 302:
            assert "Nothing was done" in words(browser.get(answer["Location"]))
    assert everything() == before


def test_a_correction_keeps_what_a_colleague_has_corrected(world: World) -> None:
    world.performed()
    event = event_of(world, FollowUp.objects.get())
    address = reverse("admin:outcomes_adverseevent_correct", args=[event.pk])
    browser = signed_in(world.nurse, Client())
    opened = browser.get(address)
    sent = {
        name: opened.context["form"].get_initial_for_field(field, name) or ""
        for name, field in opened.context["form"].fields.items()
        if name != "serious"
    }
    sent |= {SHOWN: version_on(opened), "description": "pus", "because": "seen"}
    now = world.at(MONDAY + timedelta(days=4), 10)
    outcomes.correct_adverse_event(
        event.pk, changes={"outcome": "resolved"}, because="told", by=world.physician, now=now
    )
    with clock(now):
        stale = browser.post(address, sent)
        assert stale.status_code == 409
        event.refresh_from_db()
        assert (event.outcome, event.description) == ("resolved", "")
        said = {change.label: change for change in stale.context["stale"].changes}
        assert "resolved" in {change.now for change in said.values()}
        form = stale.context["form"]
        again = {
            name: form[name].value() for name in form.fields if form[name].value() not in (None, False, "")
        }
        assert (again["outcome"], again["description"]) == ("resolved", "pus")
        assert browser.post(address, again | {SHOWN: version_on(stale)}).status_code == 302
    event.refresh_from_db()
    assert (event.outcome, event.description) == ("resolved", "pus")


def test_a_button_of_an_old_list_does_nothing(world: World) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    browser = signed_in(world.clerk, Client())
    with clock(world.now):
        page = browser.get("/admin/procedures/appointment/?when=all").content.decode()
        _, _, rest = page.partition(f'formaction="/admin/procedures/appointment/{booked.pk}/confirm/')
        address = f"/admin/procedures/appointment/{booked.pk}/confirm/" + rest.partition('"')[0].replace(
            "&amp;", "&"
        )
        assert f"{SEEN}=" in address
        Appointment.objects.filter(pk=booked.pk).update(note="Allergic to latex")
        old = browser.post(address)
        booked.refresh_from_db()
        assert (old.status_code, booked.status) == (302, Appointment.Status.BOOKED)
        assert "Allergic to latex" in words(browser.get(old["Location"]))
        page = browser.get("/admin/procedures/appointment/?when=all").content.decode()
        _, _, rest = page.partition(f'formaction="/admin/procedures/appointment/{booked.pk}/confirm/')
        fresh = f"/admin/procedures/appointment/{booked.pk}/confirm/" + rest.partition('"')[0]
        browser.post(fresh.replace("&amp;", "&"))
    booked.refresh_from_db()
    assert booked.status == Appointment.Status.CONFIRMED


def test_an_action_is_done_with_no_row_that_the_list_did_not_show_as_it_stands(world: World) -> None:
    waits = join(world)
    browser = signed_in(world.clerk, Client())
    address = "/admin/procedures/waitlistentry/"
    chosen = {"action": "withdraw", "_selected_action": [str(waits.pk)]}
    carried = version_on(browser.get(address))
    WaitlistEntry.objects.filter(pk=waits.pk).update(note="Comes on Monday")
    for old in ({SHOWN: carried}, {}):
        answer = browser.post(address, chosen | old)
        assert answer.status_code == 302
        assert "Nothing was done" in words(browser.get(answer["Location"]))
        waits.refresh_from_db()
        assert waits.closed_at is None
    browser.post(address, chosen | {SHOWN: version_on(browser.get(address))})
    waits.refresh_from_db()
    assert waits.closed_at is not None


def test_a_closure_that_was_changed_meanwhile_is_not_taken_back(world: World) -> None:
    _address, closure, _changes = rows_of(world, "closures/")
    browser = signed_in(world.admin, Client())
    address = f"/admin/clinic/closure/{closure.pk}/delete/"
    carried = version_on(browser.get(address))
    Closure.objects.filter(pk=closure.pk).update(reason="maintenance")
    for old in ({SHOWN: carried}, {}):
        browser.post(address, {"post": "yes"} | old)
        assert Closure.objects.filter(pk=closure.pk).exists()
    browser.post(address, {"post": "yes", SHOWN: version_on(browser.get(address))})
    assert not Closure.objects.filter(pk=closure.pk).exists()


def test_two_records_are_merged_only_as_they_were_shown(world: World) -> None:
    other = world.another_patient()
    browser = signed_in(world.clerk, Client())
    address = reverse("admin:patients_patient_merge_with", args=[world.patient.pk, other.pk])
    opened = browser.get(address)
    said = dict.fromkeys(opened.context["form"].fields, "kept") | {SHOWN: version_on(opened)}
    services.book(world.appointment(patient=other), by=world.clerk, now=world.now)
    with clock(world.now):
        assert browser.post(address, said).status_code == 409  # something more would move
        said[SHOWN] = version_on(browser.get(address))
        Patient.objects.filter(pk=other.pk).update(phone="+1 212 555 0123")
        stale = browser.post(address, said)
        assert stale.status_code == 409
        assert [change.now for change in stale.context["stale"].changes] == ["+1 212 555 0123"]
        assert not Patient.objects.exclude(merged_into=None).exists()
        said |= dict.fromkeys(stale.context["form"].fields, "kept")
        assert browser.post(address, said | {SHOWN: version_on(stale)}).status_code == 302
    assert Patient.objects.get(merged_into=world.patient) == other
