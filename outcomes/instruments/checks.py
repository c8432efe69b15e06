"""Refuses to start with instruments that cannot be used."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from clinic.toml_pages import PagesError
from outcomes.instruments import load


@register()
def instruments_can_be_used(**_: Any) -> list[CheckMessage]:
    """One error, id `outcomes.E001`, for each thing that is wrong with a file: file, key, reason."""
    try:
        load(settings.INSTRUMENTS_DIR)
    except PagesError as exc:
        hint = "Correct the file, or take it out of the folder INSTRUMENTS_DIR. See docs/instruments.md."
        return [Error(str(problem), hint=hint, id="outcomes.E001") for problem in exc.problems]
    return []
