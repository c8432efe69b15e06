"""How tests work at the front desk: who is signed in, what the clock shows, what the page says."""

import html
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from unittest import mock

from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from clinic.admin.stale_forms import SHOWN
from clinic.models import User
from clinic.row_versions import SEEN

#: Tests jump over months; the sign-in must last as long.
TEN_YEARS = 10 * 365 * 24 * 3600


class Desk(Client):
    """A browser that opens a page of the front desk just before it fills it in and sends it.

    So a form carries the version that stands. Tests of stale forms send `SHOWN` themselves, or use Django's client.
    """

    def post(self, path: Any, data: Any = None, *args: Any, **how: Any) -> Any:
        if str(path).startswith("/admin/") and isinstance(data or {}, dict) and SHOWN not in (data or {}):
            with transaction.atomic():  # that it was read, stays untold
                opened = self.get(path)
                carried = version_on(opened)
                path = button_on(self, opened, str(path)) or path
                transaction.set_rollback(True)
            data = {**(data or {}), **({SHOWN: carried} if carried else {})}
        return super().post(path, data, *args, **how)


def version_on(response: Any) -> str:
    """What a page carries about what it shows; "" for a page without a form of that kind."""
    if response.status_code not in (200, 409) or response.streaming:
        return ""
    found = re.search(rf'name="{SHOWN}" value="([^"]+)"', response.content.decode())
    return found[1] if found else ""


def button_on(browser: Client, opened: Any, path: str) -> str:
    """The address of the button for `path` with the version of the row beside it: it stands on the page itself, or on
    the one above. "" for none."""
    if opened.status_code == 200 and not opened.streaming:
        found = re.search(rf'action="\?({SEEN}=[0-9a-f]+)&', opened.content.decode())
        return f"{path}&{found[1]}" if found else ""
    if opened.status_code != 302 or "?" in path:
        return ""
    above = browser.get(opened["Location"], follow=True)
    found = re.search(rf'action="({re.escape(path)}\?[^"]+)"', above.content.decode())
    return html.unescape(found[1]) if found else ""


def signed_in(user: User, client: Client | None = None) -> Client:
    """A browser in which `user` is signed in."""
    client = client or Desk()
    with override_settings(SESSION_COOKIE_AGE=TEN_YEARS):
        client.force_login(user)
    return client


def clock(moment: datetime) -> Any:
    """Within it, the edges' clock shows `moment`."""
    return mock.patch("django.utils.timezone.now", return_value=moment)


def words(response: Any) -> str:
    """What the page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def template(response: Any) -> str:
    """Which page it is, by the name of its template."""
    return str(response.templates[0].name)


def levels(response: Any) -> list[str]:
    """How what the page tells its reader is meant: "error", "warning", "info", "success"."""
    return [value.level_tag for value in response.context["messages"]]


def errors(response: Any) -> dict[str, list[str]]:
    """The codes of the form's refusals, by field."""
    context = response.context
    form = context["adminform"].form if "adminform" in context else context["form"]
    return {field: [str(fault.code) for fault in faults.as_data()] for field, faults in form.errors.items()}


def filled(form: Any) -> dict[str, Any]:
    """What a browser would send of a form that nobody touched."""
    sent: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value is None or value is False:
            continue
        if hasattr(field.field.widget, "decompress"):
            parts = value if isinstance(value, list) else field.field.widget.decompress(value)
            sent |= {f"{field.html_name}_{index}": str(part) for index, part in enumerate(parts) if part}
        elif hasattr(field.field, "base_field"):
            sent[field.html_name] = value if isinstance(value, str) else ",".join(map(str, value))
        elif isinstance(value, list):
            sent[field.html_name] = [getattr(first, "pk", first) for first in value]
        else:
            sent[field.html_name] = value
    return sent


def queries(act: Callable[[], object]) -> int:
    """How many queries `act` makes, once everything that is remembered between requests has been read."""
    act()
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)
