"""Every page with one form that does one thing keeps the same promises: a walk through all of them."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from django import forms
from django.contrib import admin
from django.db import models
from django.test import Client, RequestFactory
from django.urls import resolve

from clinic import roles
from clinic.admin.action_pages import ActionPage
from clinic.admin.kept_forms import NAME
from clinic.admin.stale_forms import SHOWN, StalePage
from clinic.models import Site, User
from clinic.refusals import Refusal
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, errors, levels, signed_in, version_on
from clinic.tests.factories import MONDAY, staff
from outcomes import services as outcomes
from outcomes.models import FollowUp
from outcomes.tests.site.api_rows import API_PATHS, row_at
from patients.models import OpioidUse, Patient
from procedures.admin.workflow_actions import STEPS
from procedures.models import Procedure
from procedures.tests.factories import World, implant_procedure, on_waitlist

#: Rows of no site: everybody sees them.
SEEN_BY_ALL = ("procedures/proceduretype",)
LIST = "/admin/patients/patient/?q=a#row"


def pages() -> Iterator[tuple[str, str, type[ActionPage]]]:
    """(kind of row, address below it, page) of every action page of the admin; of an appointment's, each step."""
    for url in admin.site.get_urls():
        kind = str(url.pattern).strip("/")
        for pattern in getattr(url, "url_patterns", []):
            page = getattr(pattern.callback, "view_class", None)
            if page is not None and issubclass(page, ActionPage):
                address = str(pattern.pattern)
                for step in STEPS if "<str:step>" in address else ("",):
                    yield kind, address.replace("<str:step>", step), page


PAGES = sorted(pages(), key=lambda page: page[:2])
FORMS = [page for page in PAGES if not page[2].button]
about_rows = [page for page in PAGES if "<int:" in page[1] and page[0] not in SEEN_BY_ALL]


def walk(some: list[tuple[str, str, type[ActionPage]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("kind", "below", "page"), some, ids=[f"{kind}/{below}" for kind, below, _page in some]
    )


class Place:
    """One page about one row at a time at which it can be opened."""

    def __init__(self, world: World, kind: str, below: str, page: type[ActionPage]) -> None:
        self.world, self.page, self.now = world, page, world.now
        self.row: models.Model | None = None
        if "<int:pk>" in below:
            found = world.ablation if kind in SEEN_BY_ALL else row_at(world, API_PATHS[kind])[1]
            self.row = found
        if kind == "outcomes/checkin" and self.row is not None:
            self.now = self.row.opens_at  # type: ignore[attr-defined]
        if (kind, page.name) == ("outcomes/checkin", "correct"):
            said: dict[str, Any] = {"channel": "phone", "language": "en", "remark": ""}
            outcomes.record_answer(
                self.row.pk, values={"nrs.now": 4}, **said, by=world.nurse, now=self.now  # type: ignore[union-attr]
            )  # fmt: skip
        if page.name == "deceased":
            Patient.objects.update(died_on=MONDAY)
        if "<int:procedure>" in below:
            self.row = implant_procedure(world)
        if "<int:follow_up>" in below:
            world.performed()
            self.row = FollowUp.objects.get()
        if "<int:patient>" in below:
            self.row = world.patient
        below = below.replace("<str:figure>", "duration")
        if "<int:other>" in below:
            below = below.replace("<int:other>", str(Patient.objects.latest("pk").pk))
        if "<int:entry>" in below:
            below = below.replace("<int:entry>", str(on_waitlist(world).pk))
        below = re.sub(r"<int:\w+>", str(self.row.pk if self.row is not None else ""), below)
        self.address = f"/admin/{kind}/{below}"
        self.can = mock.patch.object(page, "unavailable_reason", return_value="")

    def open(self, browser: Client, query: str = "") -> Any:
        with clock(self.now), self.can:
            return browser.get(f"{self.address}{query}")

    def send(self, browser: Client, sent: dict[str, Any], query: str = "") -> Any:
        with clock(self.now), self.can:
            return browser.post(f"{self.address}{query}", sent)

    def button(self) -> str:
        """The query of a button beside the row whose version it carries."""
        request, view = RequestFactory().post(self.address), self.page()
        request.user = self.world.admin
        with clock(self.now):
            view.setup(request, **resolve(self.address).kwargs)
            versioned_row = view.versioned_row()
        return f"?{beside(versioned_row)}" if versioned_row is not None else ""


def form_of(response: Any) -> forms.Form:
    """The form that was typed into."""
    context = response.context
    return context["again"] if "again" in context and "said" in context else context["form"]  # type: ignore[no-any-return]


def typed(response: Any) -> dict[str, Any]:
    """What a browser sends of a form in which everything that must be is filled in, and every free text."""
    form, sent = form_of(response), {SHOWN: version_on(response)}
    if "said" in response.context and "again" in response.context:
        sent["outcome"] = "call_again"
    for name, field in form.fields.items():
        value = form[name].initial
        if isinstance(field, forms.SplitDateTimeField):
            moment = value if isinstance(value, datetime) else datetime.fromisoformat("2027-01-12T10:00")
            sent |= {f"{name}_0": f"{moment:%Y-%m-%d}", f"{name}_1": f"{moment:%H:%M}"}
        elif isinstance(field, forms.ModelChoiceField):
            first = field.queryset.first() if field.required and field.queryset is not None else None
            sent |= {name: first.pk} if first is not None else {}
        elif isinstance(field, forms.ChoiceField):
            offered: Any = field.choices
            choices: Any = [page for page, _words in offered if page not in ("", None)]
            sent[name] = value if value not in (None, "") else (choices or [""])[0]
        elif isinstance(field, forms.DateField):
            sent[name] = f"{value or MONDAY}"
        elif isinstance(field, forms.BooleanField):
            sent |= {name: "on"} if value else {}
        elif isinstance(field, forms.DecimalField | forms.IntegerField):
            sent[name] = value or "1"
        elif isinstance(field, forms.EmailField):
            sent[name] = "typed@example.org"
        else:
            sent[name] = "typed by hand"[: getattr(field, "max_length", None) or 20]
    return sent


def test_there_are_many(world: World) -> None:
    assert len(PAGES) > 45
    assert len({page for _kind, _below, page in PAGES}) > 30


@walk(PAGES)
def test_who_may_not_is_refused(world: World, kind: str, below: str, page: type[ActionPage]) -> None:
    place = Place(world, kind, below, page)
    nobody = User.objects.create_user("nobody@example.org", "correct horse", is_staff=True, first_name="No")
    nobody.sites.add(world.site)
    browser = signed_in(nobody, Client())
    with mock.patch.object(page, "act") as act:
        assert place.send(browser, {}).status_code == 403
        if not page.button:
            assert place.open(browser).status_code == 403
    assert not act.called


@walk(about_rows)
def test_what_is_at_another_site_is_not_there(
    world: World, kind: str, below: str, page: type[ActionPage]
) -> None:
    place = Place(world, kind, below, page)
    other = Site.objects.create(name="Elsewhere", time_zone="America/New_York", phone="+1 212 555 0199")
    far = staff("far@example.org", roles.NURSE, other)
    browser = signed_in(far, Client())
    with mock.patch.object(page, "act") as act, mock.patch.object(User, "has_perms", return_value=True):
        assert place.send(browser, {}).status_code == 404
        if not page.button:
            assert place.open(browser).status_code == 404
    assert not act.called


@walk(FORMS)
def test_what_the_service_refuses_is_said_beside_its_field(
    world: World, kind: str, below: str, page: type[ActionPage]
) -> None:
    place, browser = Place(world, kind, below, page), signed_in(world.admin, Client())
    opened = place.open(browser)
    assert opened.status_code == 200
    sent, fields = typed(opened), list(form_of(opened).fields)
    refusal = Refusal("No.", code="refused_here", field=fields[0] if fields else None)
    with mock.patch.object(page, "act", side_effect=refusal) as act:
        answer = place.send(browser, sent)
    assert act.called, getattr(answer, "context", None) and errors(answer)
    if not fields:
        assert levels(browser.get(answer["Location"], follow=True)) == ["error"]
        return
    assert answer.status_code == 422
    form = form_of(answer)
    assert {name: [error.code for error in faults.as_data()] for name, faults in form.errors.items()} == {
        fields[0]: ["refused_here"]
    }
    assert form.data.dict().items() >= {name: str(value) for name, value in sent.items()}.items()  # type: ignore[attr-defined]


@walk([form for form in FORMS if "<int:pk>" in form[1] and form[2].name != "merge_with"])  # test_stale_steps
def test_what_was_changed_meanwhile_is_told_and_nothing_is_done(
    world: World, kind: str, below: str, page: type[ActionPage]
) -> None:
    place, browser = Place(world, kind, below, page), signed_in(world.admin, Client())
    sent = typed(place.open(browser))
    with (
        mock.patch("clinic.admin.stale_forms.column_digests", return_value={"note": "0"}),
        mock.patch("clinic.admin.stale_forms.missed_of", return_value=(StalePage(), [])),
        mock.patch.object(page, "act") as act,
    ):
        answer = place.send(browser, sent)
    assert not act.called
    if answer.status_code == 302:
        assert not form_of(place.open(browser)).fields
        return
    assert answer.status_code == 409
    assert answer.context["stale"] is not None
    texts = {name: value for name, value in sent.items() if value == "typed by hand"}
    assert form_of(answer).data.dict().items() >= texts.items()  # type: ignore[attr-defined]


@walk(FORMS)
def test_the_way_back_is_where_one_came_from(
    world: World, kind: str, below: str, page: type[ActionPage]
) -> None:
    place, browser = Place(world, kind, below, page), signed_in(world.admin, Client())
    assert place.open(browser, f"?next={quote(LIST)}").context["back"] == LIST
    home = place.open(browser).context["back"]
    assert home.startswith("/admin/")
    for elsewhere in ("https://example.org/admin/", "//example.org/admin/", "/c/x/", "admin/"):
        assert place.open(browser, f"?next={quote(elsewhere)}").context["back"] == home


@walk(PAGES)
def test_the_same_click_twice_is_done_once(
    world: World, kind: str, below: str, page: type[ActionPage]
) -> None:
    place, browser = Place(world, kind, below, page), signed_in(world.admin, Client())
    if page.name == "issue_feed":
        pytest.skip("a secret is shown once: test_calendar_feeds")
    if page.button:
        sent, query = {}, place.button()
    else:
        sent, query = typed(place.open(browser)), ""
    with (
        mock.patch.object(page, "act") as act,
        mock.patch.object(page, "url_after", return_value="/admin/"),
        mock.patch.object(page, "tell_done") as told,
    ):
        first, second = (place.send(browser, sent, query) for _twice in range(2))
        assert (first.status_code, second.status_code) == (302, 302)
        assert first["Location"] == second["Location"] == "/admin/"
        assert (act.call_count, told.call_count) == (1, 2)


@walk(FORMS)
def test_what_was_typed_comes_back_after_signing_in_again(
    world: World, kind: str, below: str, page: type[ActionPage]
) -> None:
    place, browser = Place(world, kind, below, page), signed_in(world.admin, Client())
    sent = typed(place.open(browser))
    browser.cookies.pop("sessionid")
    with mock.patch.object(page, "act") as act:
        asked = place.send(browser, sent)
        assert asked.status_code == 200
        kept = re.search(rf'name="{NAME}" value="([^"]+)"', asked.content.decode())
        assert kept
        assert "typed by hand" not in asked.content.decode()
        action = asked.context["app_path"]
        wrong = {"username": world.admin.email, "password": "wrong", NAME: kept[1]}
        with clock(place.now):
            again = browser.post(action, wrong)
        assert kept[1] in again.content.decode()
        with clock(place.now), place.can:
            shown = browser.post(action, wrong | {"password": "correct horse"})
        assert shown.status_code == 200
        assert levels(shown) == ["warning"]
        assert shown.context["here"] == place.address
        assert form_of(shown).data.dict().items() >= {page: str(two) for page, two in sent.items()}.items()  # type: ignore[attr-defined]
        assert not act.called
        with (
            mock.patch.object(page, "url_after", return_value="/admin/"),
            mock.patch.object(page, "tell_done"),
        ):
            place.send(browser, sent)
        assert act.called


def test_somebody_else_does_not_get_what_was_typed(world: World) -> None:
    address = f"/admin/patients/opioiduse/record/{world.patient.pk}/"
    browser = signed_in(world.nurse, Client())
    sent = typed(browser.get(address))
    browser.cookies.pop("sessionid")
    asked = browser.post(address, sent)
    kept = re.search(rf'name="{NAME}" value="([^"]+)"', asked.content.decode())
    assert kept
    said = {"username": world.admin.email, "password": "correct horse", NAME: kept[1]}
    shown = browser.post(asked.context["app_path"], said)
    assert shown.status_code == 200
    assert "typed by hand" not in shown.content.decode()
    nobody = User.objects.create_user("nobody@example.org", "correct horse", is_staff=True, first_name="No")
    led = Client().post(asked.context["app_path"], said | {"username": nobody.email})
    assert (led.status_code, led["Location"].partition("?")[0]) == (302, "/admin/again/")
    forged = browser.post(asked.context["app_path"], said | {NAME: f"x{kept[1]}"})
    assert forged.status_code == 302


def test_an_opioid_is_recorded_once_and_another_from_the_same_page_too(world: World) -> None:
    address = f"/admin/patients/opioiduse/record/{world.patient.pk}/"
    browser = signed_in(world.nurse, Client())
    opened = browser.get(address)
    sent = typed(opened) | {"from_on": "2026-01-01", "dose": "20", "until_on": ""}
    for _twice in range(2):
        assert browser.post(address, sent).status_code == 302
    assert OpioidUse.objects.count() == 1
    browser.post(address, sent | {"dose": "30"})
    assert OpioidUse.objects.count() == 2


def test_a_click_counts_as_done_only_while_the_row_stands_as_it_left_it(world: World) -> None:
    procedure = world.performed()
    address = f"/admin/procedures/procedure/{procedure.pk}/pain/"
    browser = signed_in(world.physician, Client())
    now = world.at(MONDAY, 15)
    with clock(now):
        sent = typed(browser.get(address)) | {"pain": "5"}
        assert browser.post(address, sent).status_code == 302
        Procedure.objects.update(baseline_pain=8)  # as the page had shown it
        browser.post(address, sent)
        assert Procedure.objects.get().baseline_pain == 5
