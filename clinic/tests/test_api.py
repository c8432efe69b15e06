"""Signing in by token, who am I, and the one shape of every refusal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import hashers
from django.core.cache import cache
from django.db import IntegrityError
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from clinic import roles
from clinic.api.refusals import fault, problem
from clinic.models import AuditEvent, Site
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from clinic.throttling import PROCESS_CACHE
from procedures.tests.factories import World

IN_MEMORY = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "test_api"}}
NOBODY_THERE = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
}


@pytest.fixture(autouse=True)
def nobody_tried_yet() -> Iterator[None]:
    with override_settings(CACHES=IN_MEMORY):
        PROCESS_CACHE.clear()
        cache.clear()
        yield


def sign_in(email: str, password: str = "correct horse", **headers: str) -> Any:
    return APIClient().post(
        "/api/v1/token/", {"email": email, "password": password}, format="json", headers=headers
    )


def events() -> list[tuple[str, int | None, int | None]]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", "by", "object_id"))


def test_signing_in_and_out(world: World) -> None:
    response = sign_in("Nurse@Example.org")
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    token = response.json()["token"]
    expires_at = datetime.fromisoformat(response.json()["expires_at"])
    assert timedelta(hours=9) < expires_at - timezone.now() <= timedelta(hours=10)
    assert token not in str(list(AuthToken.objects.values()))
    client = APIClient(headers={"Authorization": f"Token {token}"})
    me = client.get("/api/v1/me/").json()
    assert (me["email"], me["roles"]) == ("nurse@example.org", [roles.NURSE])
    assert [site["name"] for site in me["sites"]] == ["Riverside"]
    assert "procedures.perform_procedure" in me["permissions"]
    other = sign_in("nurse@example.org").json()["token"]
    assert client.delete("/api/v1/token/").status_code == 204
    response = client.get("/api/v1/me/")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Token")
    assert faults(response) == []
    assert APIClient(headers={"Authorization": f"Token {other}"}).get("/api/v1/me/").status_code == 200
    pk = world.nurse.pk
    assert events() == [("signed_in", pk, pk), ("signed_in", pk, pk), ("signed_out", pk, pk)]


def test_every_refused_sign_in_looks_the_same_and_is_written_down(world: World) -> None:
    world.clerk.is_active = False
    world.clerk.save()
    answers = [
        sign_in("nurse@example.org", "wrong"),
        sign_in("stranger@example.org"),
        sign_in("clerk@example.org"),
    ]
    assert {response.status_code for response in answers} == {401}
    assert len({response.content for response in answers}) == 1
    assert answers[0].json()["code"] == "sign_in_refused"
    assert events() == [
        ("sign_in_refused", None, world.nurse.pk),
        ("sign_in_refused", None, None),
        ("sign_in_refused", None, world.clerk.pk),
    ]
    assert not AuditEvent.objects.filter(reason__contains="@").exists()
    assert not AuthToken.objects.exists()


def test_a_stranger_costs_as_much_work_as_a_wrong_password(world: World) -> None:
    hasher = type(hashers.get_hasher())
    with mock.patch.object(hasher, "encode", autospec=True, side_effect=hasher.encode) as hashed:
        sign_in("nurse@example.org", "wrong")
        assert hashed.call_count == 1
        sign_in("stranger@example.org", "wrong")
        assert hashed.call_count == 2


def test_an_expired_token_and_a_closed_account_are_nobody(world: World) -> None:
    token = sign_in("nurse@example.org").json()["token"]
    client = APIClient(headers={"Authorization": f"Token {token}"})
    world.nurse.is_active = False
    world.nurse.save()
    assert client.get("/api/v1/me/").status_code == 401
    world.nurse.is_active = True
    world.nurse.save()
    assert client.get("/api/v1/me/").status_code == 200
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert client.get("/api/v1/me/").status_code == 401


def test_the_oldest_token_makes_room_for_the_twenty_first(world: World) -> None:
    AuthToken.objects.bulk_create(
        AuthToken(digest=str(n), token_key=str(n), user=world.nurse, expiry=datetime(2100, 1, 1, tzinfo=UTC))
        for n in range(20)
    )
    AuthToken.objects.filter(digest="7").update(created=datetime(2020, 1, 1, tzinfo=UTC))
    assert sign_in("nurse@example.org").status_code == 201
    assert AuthToken.objects.count() == 20
    assert not AuthToken.objects.filter(digest="7").exists()


def test_a_stale_token_keeps_nobody_from_signing_in(world: World) -> None:
    assert sign_in("nurse@example.org", Authorization="Token gone").status_code == 201


@pytest.mark.parametrize("caches", [IN_MEMORY, NOBODY_THERE], ids=["cache answers", "cache is down"])
def test_the_eleventh_wrong_attempt_has_to_wait(world: World, caches: dict[str, Any]) -> None:
    with override_settings(CACHES=caches):
        answers = [
            # What a client claims about its own address does not help it.
            sign_in("nurse@example.org", "wrong", **{"X-Forwarded-For": f"10.0.0.{n}"})
            for n in range(11)
        ]
    assert [response.status_code for response in answers] == [401] * 10 + [429]
    assert answers[-1].json()["code"] == "throttled"
    assert 0 < int(answers[-1]["Retry-After"]) <= 600


def test_a_session_cannot_end_a_token(world: World) -> None:
    client = Client()
    client.force_login(world.nurse)
    assert client.delete("/api/v1/token/").status_code == 401


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Token", "authentication_failed"),
        ("Token x y", "authentication_failed"),
        ("Token nonsense", "authentication_failed"),
        ("Token \xff\xfe", "authentication_failed"),
        ("Bearer nonsense", "not_authenticated"),
    ],
)
def test_whatever_else_stands_in_the_header_is_401(world: World, authorization: str, code: str) -> None:
    response = APIClient().get("/api/v1/me/", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.json()["code"] == code


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "me/", None, 401, "not_authenticated"),
        ("POST", "appointments/", "{}", 401, "not_authenticated"),
        ("GET", "nowhere/", None, 404, "not_found"),
        ("POST", "me", "{}", 404, "not_found"),
        ("POST", "token/", "{", 400, "parse_error"),
        ("POST", "token/", "[" * 100_000, 400, "parse_error"),
        ("POST", "token/", '{"email": "\\ud800"}', 400, "parse_error"),
        ("POST", "token/", "[]", 400, "invalid"),
        ("POST", "token/", '"x"', 400, "invalid"),
        ("POST", "token/", "NaN", 400, "parse_error"),
        ("POST", "token/", '{"email": {}, "password": 1}', 400, "invalid"),
    ],
)
def test_refusals_to_strangers(
    world: World, method: str, path: str, body: str | None, status: int, code: str
) -> None:
    response = APIClient().generic(method, f"/api/v1/{path}", body or "", "application/json")
    assert response.status_code == status
    faults(response)
    assert response.json()["code"] == code


def test_refusals_to_staff(world: World) -> None:
    def refused(*request: Any, **more: Any) -> tuple[int, str]:
        response = call(world.nurse, *request, now=world.now, **more)
        faults(response)
        return response.status_code, response.json()["code"]

    assert refused("PUT", "me/") == (405, "method_not_allowed")
    assert refused("OPTIONS", "me/") == (405, "method_not_allowed")
    assert refused("DELETE", "patients/") == (405, "method_not_allowed")
    for path in ("me/", "sites/", f"sites/{world.site.pk}/", "reports/overview/"):
        assert refused("POST", path, {}, **{"Idempotency-Key": "a"}) == (405, "method_not_allowed"), path
    assert refused("POST", f"procedures/{world.patient.pk}/void/", {}) == (403, "permission_denied")
    assert refused("GET", "patients/987654/") == (404, "not_found")
    assert refused("GET", "patients/abc/") == (404, "not_found")
    assert refused("GET", f"patients/{10**40}/") == (404, "not_found")
    assert refused("GET", "me/", Accept="text/html") == (406, "not_acceptable")


def test_a_view_that_names_no_permission_answers_nobody(world: World) -> None:
    class Forgotten(APIView):
        def get(self, request: Request) -> Response:
            return Response("a secret")

    request = APIRequestFactory().get("/")
    force_authenticate(request, world.admin)
    assert Forgotten.as_view()(request).status_code == 403


def test_what_is_about_somebody_is_kept_nowhere(world: World) -> None:
    for path in ("me/", "patients/", f"patients/{world.patient.pk}/", "follow-ups/987654/"):
        assert call(world.nurse, "GET", path, now=world.now)["Cache-Control"] == "no-store"


def test_a_form_is_no_json(world: World) -> None:
    response = APIClient().post("/api/v1/token/", {"email": "x"}, format="multipart")
    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"


def test_a_forged_form_of_another_site_is_refused(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.nurse)
    response = client.post("/api/v1/patients/", "{}", content_type="application/json")
    assert response.status_code == 403
    assert faults(response) == []


def test_of_two_that_save_the_same_one_is_refused() -> None:
    for sqlstate, status in (("23505", 409), ("23P01", 409), ("23502", None)):
        exc = IntegrityError()
        exc.__cause__ = type("Cause", (Exception,), {"sqlstate": sqlstate})()
        response = problem(exc, {})
        assert (response.status_code if response else None) == status


def test_a_fault_of_ours_says_nothing_about_it() -> None:
    response = fault(RequestFactory().get("/api/v1/me/"))
    assert (response.status_code, response["Content-Type"]) == (500, "application/problem+json")
    assert b"Traceback" not in response.content
    assert fault(RequestFactory().get("/admin/"))["Content-Type"].startswith("text/html")


def test_sites_and_resources_are_those_of_ones_own_sites(world: World) -> None:
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.PHYSICIAN, other)

    def names(user: Any, path: str) -> list[str]:
        return [row["name"] for row in call(user, "GET", path, now=world.now).json()["results"]]

    assert names(world.nurse, "sites/") == ["Riverside"]
    assert names(stranger, "sites/") == ["Hillside"]
    assert names(world.admin, "sites/") == ["Riverside", "Hillside"]
    assert names(world.nurse, "resources/") == ["Room 1", "Bay 1", "Dr Test"]
    assert names(world.nurse, "resources/?category=physician&active=true") == ["Dr Test"]
    assert names(stranger, "resources/") == []
    assert call(stranger, "GET", f"resources/{world.room.pk}/", now=world.now).status_code == 404


def test_the_manual_and_the_schema_are_for_staff(world: World) -> None:
    client = Client()
    response = client.get("/api/v1/docs/")
    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/api/v1/docs/")
    assert client.get("/api/v1/schema/").status_code == 401
    client.force_login(world.nurse)
    assert client.get("/api/v1/schema/").status_code == 200
    page = client.get("/api/v1/docs/").content.decode()
    assert "<script>" not in page  # the content policy would not run it
