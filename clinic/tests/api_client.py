"""How tests call the API: as somebody, at some time."""

import json
import re
from datetime import datetime
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from rest_framework.test import APIClient

from clinic.models import User

#: The address of the row that a request changes, at the beginning of its own.
ROW = re.compile(
    r"resources/\d+/calendar-feed/|patients/\d+/caregiver/|patients/\d+/opioids/\d+/|"
    r"(?!patients/\d+/opioids/)[a-z-]+/\d+/"
)


def call(
    user: User | None, method: str, path: str, data: Any = None, *, now: datetime, **headers: str
) -> Any:
    """The response to `user` (None: nobody is signed in) who calls `path` below /api/v1/ when the clock shows `now`.

    Who changes a row has read it just before, unless `headers` have an If-Match.
    """
    client = APIClient()
    if user is not None:
        client.force_authenticate(User.objects.get(pk=user.pk))
    body = "" if data is None else json.dumps(data)
    with mock.patch("django.utils.timezone.now", return_value=now):
        if "If-Match" not in headers and (tag := tag_before(client, method, path, data)):
            headers["If-Match"] = tag
        return client.generic(method, f"/api/v1/{path}", body, "application/json", headers=headers)


def tag_before(client: APIClient, method: str, path: str, data: Any = None) -> str:
    """The ETag of the row of `path`; "" where `method` changes none. That it was read, stays untold."""
    row = ROW.match(path)
    if method in ("GET", "HEAD", "OPTIONS") or not row:
        return ""
    read_at = row[0]
    if path.endswith("/merge/") and isinstance(data, dict):  # it changes two rows, which are read together
        read_at = f"{path}?duplicate={data.get('duplicate')}"
    with transaction.atomic():
        read = client.get(f"/api/v1/{read_at}")
        transaction.set_rollback(True)
    return str(read.headers.get("ETag", ""))


def faults(response: Any) -> list[tuple[str, str]]:
    """(field, code) of every entry of a refusal, having looked that it has the form of one."""
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    assert body["code"]
    assert all(error["detail"] for error in body["errors"])
    return [(error["field"], error["code"]) for error in body["errors"]]


def bring(user: User | None, path: str, data: bytes, *, now: datetime, **fields: str) -> Any:
    """The response to `user` who brings a file to `path` below /api/v1/, with the other `fields` of the form."""
    client = APIClient()
    if user is not None:
        client.force_authenticate(User.objects.get(pk=user.pk))
    form = {"file": SimpleUploadedFile("file.csv", data, "text/csv"), **fields}
    with mock.patch("django.utils.timezone.now", return_value=now):
        return client.post(f"/api/v1/{path}", form, format="multipart")
