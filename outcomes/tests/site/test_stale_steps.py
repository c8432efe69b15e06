"""The pages on which one thing is done with a row: nothing is done that the reader has not seen as it stands."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from clinic.admin.stale_forms import SHOWN
from clinic.models import Closure
from clinic.row_versions import SEEN
from clinic.tests.admin_client import clock, levels, signed_in, version_on, words
from clinic.tests.factories import MONDAY
from outcomes import services as outcomes
from outcomes.models import FollowUp
from outcomes.tests.factories import recorded_adverse_event
from outcomes.tests.site.api_rows import API_PATHS, changeable_rows, row_at
from patients.models import Patient
from procedures import services
from procedures.admin.workflow_actions import STEPS
from procedures.models import Appointment, WaitlistEntry
from procedures.tests.factories import World, on_waitlist

#: Pages of our own that change no row that they have shown, each with the reason.
OTHERS = {
    "procedures_appointment_board": "looking",
    "procedures_appointment_week": "looking",
    "procedures_appointment_digits": "looking",
    "procedures_appointment_find": "test_what_the_book_screen_has_not_shown_as_it_stands_stays",
    "procedures_appointment_week_move": "test_what_the_calendar_has_not_shown_as_it_stands_is_not_moved",
    "procedures_appointment_displaced": "each is moved only while it is displaced: procedures.services.rebookings",
    "procedures_appointment_import_file": "a new import",
    "procedures_implanteddevice_record": "a new device",
    "patients_patient_import_file": "a new import",
    "patients_patient_merge": "looking",
    "patients_patient_course": "looking",
    "patients_opioiduse_record": "a new opioid",
    "clinic_outgoingemail_previews": "looking",
    "clinic_outgoingemail_sending": "test_a_page_of_another_pause_does_nothing",
    "outcomes_adverseevent_record": "a new adverse event",
    "outcomes_checkin_calls": "looking",
    "outcomes_checkin_not_sent": "looking",
    "outcomes_checkin_paper": "looking",
    "outcomes_checkin_by_code": "looking",
    "outcomes_followup_clinic": "looking",
    "outcomes_followup_report": "looking",
    "outcomes_followup_compare": "looking",
    "outcomes_followup_response": "looking",
    "outcomes_followup_worklists": "looking",
    "outcomes_export_file": "looking",
    "outcomes_export_ask_for": "a new export",
    "outcomes_export_dictionary": "looking",
}
#: Django's own pages of every kind of row, by the end of their names; test_stale_forms walks those with a form.
STOCK = ("changelist", "add", "change", "history", "delete", "autocomplete", "password_change")


def own_pages() -> Iterator[tuple[str, str, str]]:
    """(kind of row, address below it, name) of every page of the admin that is not Django's."""
    for url in admin.site.get_urls():
        kind = str(url.pattern).strip("/")
        for page in getattr(url, "url_patterns", []):
            name = page.name or ""
            if name and not name.endswith(tuple(f"_{end}" for end in STOCK)):
                yield kind, str(page.pattern), name


def pages() -> Iterator[tuple[str, str]]:
    """(kind of row, address below it) of every page that does one thing with a row."""
    for kind, path, name in own_pages():
        if name == "procedures_appointment_step":
            yield from ((kind, f"{step}/") for step in STEPS)
        elif name not in OTHERS:
            yield kind, path.removeprefix("<int:pk>/")


def test_every_page_of_our_own_is_walked_or_has_its_reason() -> None:
    names = {name for _kind, _path, name in own_pages()}
    assert names >= OTHERS.keys()
    for kind, path, name in own_pages():
        if name not in OTHERS:
            assert path.startswith("<int:pk>/"), f"{name}: which row does it change, and who has seen it?"
            assert kind in API_PATHS, f"{name}: no row for it in KINDS"


@pytest.mark.parametrize(("kind", "page"), sorted(pages()), ids=lambda part: part)
def test_a_page_that_does_not_say_what_it_showed_does_nothing(world: World, kind: str, page: str) -> None:
    row = world.ablation if kind == "procedures/proceduretype" else row_at(world, API_PATHS[kind])[1]
    now = world.now
    if kind == "outcomes/checkin":
        now = row.opens_at  # type: ignore[attr-defined]
    if (kind, page) == ("outcomes/checkin", "correct/"):
        said: dict[str, Any] = {"channel": "phone", "language": "en", "remark": "", "values": {"nrs.now": 4}}
        outcomes.record_answer(row.pk, **said, by=world.nurse, now=now)
    if page == "deceased/":
        Patient.objects.filter(pk=row.pk).update(died_on=MONDAY)
    other = on_waitlist(world) if kind == "procedures/freedtime" else Patient.objects.latest("pk")
    page = page.replace("<int:other>", str(other.pk)).replace("<int:entry>", str(other.pk))
    page = page.replace("<str:figure>", "duration")
    before = changeable_rows()
    browser = signed_in(world.admin, Client())
    with clock(now):
        for carried in ({}, {SHOWN: "bogus"}):
            for old in ("", f"?{SEEN}={'0' * 32}"):
                answer = browser.post(f"/admin/{kind}/{row.pk}/{page}{old}", carried)
                assert answer.status_code in (302, 409)
                if answer.status_code == 302:
                    assert levels(browser.get(answer["Location"], follow=True)) == ["error"]
    assert changeable_rows() == before


def test_a_correction_keeps_what_a_colleague_has_corrected(world: World) -> None:
    world.performed()
    event = recorded_adverse_event(world, FollowUp.objects.get())
    address = reverse("admin:outcomes_adverseevent_correct", args=[event.pk])
    browser = signed_in(world.nurse, Client())
    opened = browser.get(address)
    sent = {
        name: opened.context["form"].get_initial_for_field(field, name) or ""
        for name, field in opened.context["form"].fields.items()
        if name != "serious"
    }
    sent |= {SHOWN: version_on(opened), "description": "pus", "reason": "seen"}
    now = world.at(MONDAY + timedelta(days=4), 10)
    outcomes.correct_adverse_event(
        event.pk, changes={"outcome": "resolved"}, reason="told", by=world.physician, now=now
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
    waits = on_waitlist(world)
    browser = signed_in(world.clerk, Client())
    address = "/admin/procedures/waitlistentry/"
    chosen = {"action": "withdraw", "_selected_action": [str(waits.pk)]}
    carried = version_on(browser.get(address))
    WaitlistEntry.objects.filter(pk=waits.pk).update(note="Comes on Monday")
    for old in ({SHOWN: carried}, {}):
        answer = browser.post(address, chosen | old)
        assert answer.status_code == 302
        assert levels(browser.get(answer["Location"])) == ["error"]
        waits.refresh_from_db()
        assert waits.closed_at is None
    browser.post(address, chosen | {SHOWN: version_on(browser.get(address))})
    waits.refresh_from_db()
    assert waits.closed_at is not None


def test_a_closure_that_was_changed_meanwhile_is_not_taken_back(world: World) -> None:
    _address, closure, _changes = row_at(world, "closures/")
    browser = signed_in(world.admin, Client())
    address = f"/admin/clinic/closure/{closure.pk}/delete/"
    carried = version_on(browser.get(address))
    Closure.objects.filter(pk=closure.pk).update(reason="maintenance")
    for old in ({SHOWN: carried}, {}):
        browser.post(address, {"post": "yes"} | old)
        assert Closure.objects.filter(pk=closure.pk).exists()
    browser.post(address, {"post": "yes", SHOWN: version_on(browser.get(address))})
    assert not Closure.objects.filter(pk=closure.pk).exists()


def test_what_was_changed_since_the_question_is_not_deleted(world: World) -> None:
    _address, closure, _changes = row_at(world, "closures/")
    browser = signed_in(world.admin, Client())
    address = "/admin/clinic/closure/"
    chosen = {"action": "delete_selected", "_selected_action": [str(closure.pk)]}
    with clock(world.now):

        def question() -> Any:
            return browser.post(address, chosen | {SHOWN: version_on(browser.get(address))})

        asked = question()
        assert asked.status_code == 200
        Closure.objects.filter(pk=closure.pk).update(reason="maintenance")
        for old in ({SHOWN: version_on(asked)}, {}):
            answer = browser.post(address, chosen | {"post": "yes"} | old)
            assert levels(browser.get(answer["Location"])) == ["error"]
            assert Closure.objects.filter(pk=closure.pk).exists()
        browser.post(address, chosen | {"post": "yes", SHOWN: version_on(question())})
    assert not Closure.objects.filter(pk=closure.pk).exists()


def test_no_action_is_done_with_rows_of_other_pages_of_a_list(world: World) -> None:
    waits = on_waitlist(world)
    browser = signed_in(world.clerk, Client())
    address = "/admin/procedures/waitlistentry/"
    said = {"action": "withdraw", "_selected_action": [str(waits.pk)], "select_across": "1"}
    answer = browser.post(address, said | {SHOWN: version_on(browser.get(address))})
    assert levels(browser.get(answer["Location"])) == ["error"]
    waits.refresh_from_db()
    assert waits.closed_at is None


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
