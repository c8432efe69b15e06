"""No input that anybody can type or make up is a fault of ours, and none is taken for what it does not say."""

import random
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken
from rest_framework import serializers

from clinic.api.fields import ChoicesQuery, Input, Query, YesNoField, YesNoQuery
from clinic.tests.admin_client import signed_in
from clinic.tests.api_client import call, faults
from outcomes.models import Alert, Export
from outcomes.services.alerts import raise_alert
from outcomes.tests.api_operations import operations, routes
from procedures import services
from procedures.api.slots import SlotQuery
from procedures.models import Appointment
from procedures.tests.factories import World

SEED = 14
#: So long each part of the fuzzing takes at most, in seconds. What was tried until then is the same on each machine.
BOUND = 40
#: Already quoted for an address.
NASTY = [
    *(
        "%00",
        "0",
        "-1",
        "",
        "abc",
        "%FF",
        "%ED%A0%80",
        "%E2%80%AE",
        "%F0%9F%98%80",
        "'%22%3C%3E",
        "%25",
        "%5C",
    ),
    *(
        "9" * 5,
        "9" * 30,
        "-" + "9" * 30,
        "1e9",
        "NaN",
        "1.5",
        "null",
        "true",
        "off",
        "[]",
        "[" * 2000,
        "a" * 3000,
    ),
    *(
        "2027-13-45",
        "0000-00-00",
        "0001-01-01",
        "9999-12-31",
        "10000-01-01",
        "2027-01-11",
        "2027-03-14T02:30",
    ),
    *("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00%2B14:00", "1,2", "1__in", "None", "%D9%A3"),
]


def names_in_sources() -> list[str]:
    """Every name that a page of ours reads from behind the question mark."""
    found: set[str] = set()
    for app in ("clinic", "patients", "procedures", "outcomes"):
        for source in (Path(settings.BASE_DIR) / app).rglob("*.py"):
            if not {"tests", "migrations"} & set(source.parts):
                found |= set(re.findall(r"GET(?:\.get\(|\.getlist\(|\[)\s*\"(\w+)\"", source.read_text()))
    return sorted(found)


def lookups(page: Any) -> list[str]:
    """What behind the question mark narrows a list of the admin, and what else Django and the theme read there."""
    names = ["q", "o", "p", "all", "e", "_facets", "_popup", "_to_field", "_changelist_filters", "a__b"]
    for part in page.list_filter:
        field = part[0] if isinstance(part, tuple) else part
        if isinstance(field, str):
            names += [f"{field}{end}" for end in ("", "__exact", "__id__exact", "__isnull", "__in", "__gte")]
        else:
            names.append(getattr(field, "parameter_name", None) or "x")
    fields = [
        page.date_hierarchy,
        *(f.name for f in page.model._meta.fields if f.name.endswith(("_at", "_on"))),
    ]
    for field in fields:
        if field:
            names += [f"{field}__{end}" for end in ("year", "month", "day", "gte", "lt", "exact", "range")]
    return names


def tries(names: list[str], rng: random.Random, *, each: int = 3) -> Iterator[str]:
    """Queries: each name with NUL, with nought and with some of the rest; then several at once, and one twice."""
    for name in names:
        for value in ("%00", "0", *rng.sample(NASTY, each)):
            yield f"{name}={value}"
    for _ in range(each):
        yield "&".join(f"{name}={rng.choice(NASTY)}" for name in rng.sample(names, min(3, len(names))))
    for name in rng.sample(names, min(2, len(names))):
        yield f"{name}=1&{name}=2"


def faulty(client: Client, requests: Iterator[str]) -> tuple[list[str], int]:
    """The addresses that answer with 5xx, or not at all; and how many were asked within BOUND."""
    client.raise_request_exception = False
    began, bad, asked = time.monotonic(), [], 0
    for address in requests:
        if time.monotonic() - began > BOUND:
            break
        asked += 1
        if client.get(address).status_code >= 500:
            bad.append(address)
    return bad, asked


def some_rows(world: World) -> None:
    """One of most things, so that pages have something to show."""
    procedure = world.performed()
    raise_alert(procedure.follow_up, "worse", now=world.now)
    services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(world.now.date(), 14)),
        by=world.clerk,
        now=world.now,
    )


def shuffled(pages: list[str], rng: random.Random, names: dict[str, list[str]]) -> Iterator[str]:
    requests = [f"{page}?{query}" for page in pages for query in tries(names[page], rng)]
    rng.shuffle(requests)
    return iter(requests)


def test_no_parameter_of_a_list_of_the_admin_is_a_fault(world: World, client: Client) -> None:
    some_rows(world)
    signed_in(world.admin, client)
    names = {
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"): lookups(page)
        for model, page in admin.site._registry.items()
    }
    assert len(names) > 20
    bad, asked = faulty(client, shuffled(sorted(names), random.Random(SEED), names))
    assert bad == []
    assert asked > 300


def test_no_parameter_of_another_page_of_the_admin_is_a_fault(world: World, client: Client) -> None:
    some_rows(world)
    signed_in(world.admin, client)
    known = [*names_in_sources(), "q", "s", "term", "app_label", "model_name", "field_name", "page"]
    known += [
        "patient",
        "site",
        "sites",
        "procedure_type",
        "resource",
        "follow_up",
        "starts",
        "groups",
        "born_on",
    ]
    pages = {
        f"/{route}"
        for route, view in routes()
        if route.startswith("admin/") and not re.search(r"[<(]", route) and not hasattr(view, "cls")
    } - {"/admin/logout/"}
    pages |= {"/admin/r/1/1/", "/admin/r/0/x/", "/admin/r/%00/1/", "/admin/nowhere/"}
    pages |= {
        f"/admin/clinic/user/{pk}/{end}/"
        for pk in ("%00", "9" * 30, "x", "_00")
        for end in ("change", "history")
    }
    assert len(pages) > 40
    names = dict.fromkeys(pages, known)
    rng = random.Random(SEED)
    requests = [
        f"{page}?{query}" for page in sorted(pages) for query in rng.sample([*tries(known, rng, each=1)], 12)
    ]
    rng.shuffle(requests)
    bad, asked = faulty(client, iter([*sorted(pages), *requests]))
    assert bad == []
    assert asked > 200
    assert names


def test_no_parameter_of_the_api_is_a_fault(world: World, client: Client) -> None:
    some_rows(world)
    signed_in(world.admin, client)
    names: dict[str, list[str]] = {}
    for operation, view, action in operations():
        method, path = operation.split()
        if method != "GET":
            continue
        shape = getattr(view, "query_class", None) if action == "list" else None
        known = (
            list(shape().fields) if shape else ["on", "dimension", "one", "other", "performed_from", "site"]
        )
        address = path.format(pk=1, patient=world.patient.pk, code="silent" if "worklists" in path else "x")
        names[f"/api/v1/{address}"] = [*known, "cursor", "page_size", "format", "lang", "version"]
    assert len(names) > 40
    bad, asked = faulty(client, shuffled(sorted(names), random.Random(SEED), names))
    assert bad == []
    assert asked > 300


@pytest.mark.parametrize("address", ["/admin/r/1/1/", "/admin/clinic/outgoingemail/?created_at__year=0"])
def test_addresses_that_were_faults(world: World, client: Client, address: str) -> None:
    signed_in(world.admin, client)
    client.raise_request_exception = False
    assert client.get(address).status_code in (302, 404)


def test_no_list_takes_nul(world: World, client: Client) -> None:
    signed_in(world.admin, client)
    client.raise_request_exception = False
    for model in admin.site._registry:
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for name in ("kind__exact", "q", "status__exact"):
            assert client.get(f"{page}?{name}=%00").status_code == 400, page


def test_tokens_have_no_page_of_their_own(world: World, client: Client) -> None:
    """There an administrator could make one in anybody's name, without a trace."""
    signed_in(world.admin, client)
    assert client.get("/admin/knox/authtoken/add/").status_code == 404
    assert AuthToken not in admin.site._registry


def test_a_mail_services_report_however_deep_is_a_refusal(client: Client, settings: Any) -> None:
    settings.EMAIL_SERVICE = "postmark"
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": "name:a password of 20 chars"}
    secret = b64encode(b"name:a password of 20 chars").decode()
    response = client.post(
        "/webhooks/email/",
        "[" * 5_000 + "]" * 5_000,
        content_type="application/json",
        headers={"Authorization": f"Basic {secret}"},
    )
    assert response.status_code == 400


@pytest.mark.parametrize("depth", [19, 21, 90, 400, 900, 5_000, 100_000])
def test_json_however_deep_is_a_refusal(world: World, depth: int) -> None:
    client = signed_in(world.admin, Client(raise_request_exception=False))
    deep = "[" * depth + "]" * depth
    objects = '{"a":' * depth + "1" + "}" * depth
    for body in (
        deep,
        objects,
        f'{{"patient": {deep}}}',
        f'{{"note": {objects}}}',
        f'{{"values": {objects}}}',
    ):
        for path in ("appointments/", "patients/", "check-ins/1/answer/", "closures/", "exports/"):
            response = client.post(f"/api/v1/{path}", body, content_type="application/json")
            assert 400 <= response.status_code < 500, (path, depth)
            assert faults(response) or response.json()["code"]


def test_a_name_twice_in_one_object_is_refused(world: World) -> None:
    client = signed_in(world.admin, Client())
    body = '{"kind": "follow_ups", "deidentified": true, "deidentified": false}'
    response = client.post("/api/v1/exports/", body, content_type="application/json")
    assert (response.status_code, faults(response)) == (400, [("deidentified", "given_twice")])


# Booleans.


@pytest.mark.parametrize("said", ["off", "no", "0", "false", "true", "on", 0, 1, None, [], "", 0.0])
def test_nothing_but_true_and_false_says_whether_an_export_names_patients(world: World, said: Any) -> None:
    asked = {"kind": "follow_ups", "deidentified": said}
    response = call(world.physician, "POST", "exports/", asked, now=world.now)
    assert response.status_code == 400
    assert [field for field, _ in faults(response)] == ["deidentified"]
    missing = call(world.physician, "POST", "exports/", {"kind": "follow_ups"}, now=world.now)
    assert faults(missing) == [("deidentified", "required")]
    assert not Export.objects.exists()


@pytest.mark.parametrize("said", [None, "", "off", "no", "0", "on", "True", "1"])
def test_the_form_at_the_desk_is_as_strict(world: World, client: Client, said: str | None) -> None:
    signed_in(world.physician, client)
    sent = {"kind": "follow_ups"} | ({} if said is None else {"deidentified": said})
    response = client.post(reverse("admin:outcomes_export_ask_for"), sent)
    assert list(response.context["form"].errors) == ["deidentified"]
    assert not Export.objects.exists()


@pytest.mark.parametrize(("said", "kept"), [("true", True), ("false", False)])
def test_the_form_says_one_or_the_other(world: World, client: Client, said: str, kept: bool) -> None:
    signed_in(world.physician, client)
    client.post(reverse("admin:outcomes_export_ask_for"), {"kind": "follow_ups", "deidentified": said})
    assert Export.objects.get().deidentified is kept


def shapes(of: type[Any] = Input) -> Iterator[type[Any]]:
    for part in of.__subclasses__():
        yield part
        yield from shapes(part)


def test_every_boolean_that_is_read_is_strict() -> None:
    read = 0
    for shape in set(shapes()):
        for name, field in shape().fields.items():
            if isinstance(field, serializers.BooleanField) and not field.read_only:
                strict = YesNoQuery if issubclass(shape, Query) or shape is SlotQuery else YesNoField
                assert isinstance(field, strict), (shape, name)
                read += 1
            if issubclass(shape, Query):
                assert not isinstance(field, serializers.ChoiceField), (shape, name)
    assert read > 10


@pytest.mark.parametrize("said", ["off", "no", "0", "1", "True", "TRUE", "yes", "on", "", "t", "null"])
def test_a_boolean_of_a_query_is_true_or_false(world: World, said: str) -> None:
    for path, name in (
        ("resources/", "active"), ("appointments/", "wants_change"), ("follow-ups/", "open"),
        ("adverse-events/", "standing"), ("devices/", "in_place"), ("waitlist/", "stale"),
        ("procedure-types/", "active"), ("reports/worklists/silent/", "seen_to"),
        (f"patients/{world.patient.pk}/opioids/", "standing"),
    ):  # fmt: skip
        response = call(world.physician, "GET", f"{path}?{name}={quote(said)}", now=world.now)
        assert (response.status_code, faults(response)) == (400, [(name, "invalid")]), path
        for right in ("true", "false"):
            assert call(world.physician, "GET", f"{path}?{name}={right}", now=world.now).status_code == 200


# Said more than once.


def test_repeated_choices_are_either(world: World) -> None:
    def listed(path: str) -> list[int]:
        response = call(world.nurse, "GET", path, now=world.now)
        assert response.status_code == 200, response.json()
        return [row["id"] for row in response.json()["results"]]

    first = services.book(world.appointment(), by=world.clerk, now=world.now)
    second = services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(first.starts_at.date(), 13)),
        by=world.clerk,
        now=world.now,
    )
    services.take_step(second.pk, "confirm", by=world.clerk, now=world.now)
    assert listed("appointments/?status=booked&status=confirmed") == [first.pk, second.pk]
    assert listed("appointments/?status=confirmed") == [second.pk]
    assert listed("appointments/?status=confirmed&status=confirmed") == [second.pk]
    refused = call(world.nurse, "GET", "appointments/?status=booked&status=gone", now=world.now)
    assert faults(refused) == [("status", "invalid_choice")]


def test_repeated_states_are_either(world: World) -> None:
    procedure = world.performed()
    alert: Any = raise_alert(procedure.follow_up, "worse", now=world.now)
    Alert.objects.filter(pk=alert.pk).update(snoozed_until=world.at(world.now.date(), 23))

    def alerts(query: str) -> int:
        return len(call(world.nurse, "GET", f"alerts/?{query}", now=world.now).json()["results"])

    assert [alerts(query) for query in ("", "state=open&state=overdue", "state=open&state=snoozed")] == [
        0,
        0,
        1,
    ]
    assert alerts("state=resolved&state=all") == 1
    for path in ("waitlist/?state=waiting&state=booked", "freed-times/?state=open&state=passed"):
        assert call(world.nurse, "GET", path, now=world.now).status_code == 200


def test_whatever_else_is_repeated_is_refused(world: World) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    for path, name in (
        ("appointments/?site=1&site=2", "site"),
        ("appointments/?patient=1&status=booked&patient=1", "patient"),
        ("appointments/?cursor=a&cursor=b", "cursor"),
        ("slots/?limit=1&limit=2&procedure_type=rfa_facet", "limit"),
        ("patients/?search=a&search=b", "search"),
        (f"appointments/{booked.pk}/?x=1&x=2", "x"),
        ("reports/overview/?site=1&site=1", "site"),
        ("reports/procedure/?intent=trial&intent=implant", "intent"),
        ("me/?x=1&x=2", "x"),
    ):
        response = call(world.physician, "GET", path, now=world.now)
        assert (response.status_code, faults(response)) == (400, [(name, "given_twice")]), path
    posted = call(world.clerk, "POST", f"appointments/{booked.pk}/confirm/?x=1&x=2", {}, now=world.now)
    assert faults(posted) == [("x", "given_twice")]
    assert Appointment.objects.get().status == "booked"


def test_choices_are_one_field_each() -> None:
    """A choice of a query that could not be repeated would be the old fault again."""
    several = [
        shape
        for shape in set(shapes(Query))
        if any(isinstance(f, ChoicesQuery) for f in shape().fields.values())
    ]
    assert len(several) >= 10
