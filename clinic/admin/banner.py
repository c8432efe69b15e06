"""The banner on every page of the front desk while nothing is sent."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from clinic.models import SendingPause
from clinic.restores import why_paused


def paused(request: HttpRequest) -> dict[str, Any]:
    """`sending_pause` for templates: why sending is paused, or None; asked only where a page shows it, and once."""

    @cache
    def sending_pause() -> SendingPause | None:
        return why_paused()

    return {"sending_pause": sending_pause}
