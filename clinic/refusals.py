"""How a rule says no: one exception with a stable code, a sentence for people and the field it is about."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError


class Refusal(ValidationError):
    """A rule said no, and nothing was saved.

    `code` is stable and part of the API's contract; `field` names the input it is about, or None when it is about
    the whole action. The admin shows the sentence on the form, the API answers with problem+json, to which `members`
    are added: what else the caller needs, as plain values; `free` among them: what could be asked for instead, by
    input.
    """

    def __init__(
        self, sentence: str, *, code: str, field: str | None = None, free: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(sentence, code=code)
        self.field = field
        self.members: dict[str, Any] = {} if free is None else {"free": free}
