"""One set of rules for names, phone numbers, dates and lines: in models, and so in every form, input and file."""

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from clinic import text_rules
from clinic.refusals import Refusal

APPS = ("clinic", "patients", "procedures", "outcomes")
#: What no person types; a machine's words about a fault may be long and broken, and must be kept all the same.
BY_MACHINES = ("auditevent", "auditseal", "outgoingemail", "outgoingtext", "deliveryreport")
#: In bytes.
LARGEST_PICTURE = 40_000
BROKEN = _("This has a line break or another control character in it.")


def one_line(value: str) -> None:
    """Refuse, code "control_character", a line break, a tab, a control character or a mark that turns the direction."""
    if isinstance(value, str) and text_rules.breaks(value):
        raise ValidationError(BROKEN, code="control_character")


def person_name(value: str) -> None:
    """Refuse a name without a letter, code "invisible_name", and one that spreadsheets would run, code "formula"."""
    if value.startswith(text_rules.FORMULA):
        raise ValidationError(_("A name does not begin with “%s”.") % value[0], code="formula")
    if not text_rules.has_letter(value):
        raise ValidationError(_("A name has at least one letter."), code="invisible_name")


def mailbox_name(value: str) -> None:
    """Refuse what `person_name` and `one_line` refuse, and, code "address", a name with the marks of an address."""
    one_line(value)
    person_name(value)
    if set(value) & set('<>@"'):
        raise ValidationError(_("A name, without an address."), code="address")


def phone(value: str) -> None:
    """Refuse, code "phone", what is not written as a phone number with five to fifteen digits."""
    if not text_rules.is_phone(value):
        raise ValidationError(_("Write a phone number, for example +1 212 555 0147."), code="phone")


def emergency_phone(value: str) -> None:
    """The same for a number that may be as short as 911."""
    if not text_rules.is_phone(value, fewest=3):
        raise ValidationError(_("Write a phone number, for example 911."), code="phone")


def picture_kind(data: bytes) -> str:
    """ "png", "jpeg" or "gif", by how the data begins; "" for anything else."""
    marks = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
    return next((kind for mark, kind in marks.items() if data.startswith(mark)), "")


def small_picture(value: bytes) -> None:
    """Refuse, code "too_large", more bytes than belong into every e-mail, and, code "picture", another kind of file."""
    if len(value) > LARGEST_PICTURE:
        raise ValidationError(_("At most 40 kB: it goes with every e-mail."), code="too_large")
    if not picture_kind(bytes(value)):
        raise ValidationError(_("A picture as PNG, JPEG or GIF."), code="picture")


def likely_date(value: date) -> None:
    """Refuse, code "out_of_range", a year before 1880 or after 2199: a slip of the keyboard."""
    if value.year not in text_rules.YEARS:
        raise ValidationError(_("The year must lie between 1880 and 2199."), code="out_of_range")


def lines_of(model: type[models.Model]) -> Iterator["models.CharField[Any, Any]"]:
    """The fields of a model that hold one line of text; those of several lines are TextFields."""
    return (field for field in model._meta.concrete_fields if isinstance(field, models.CharField))


def guard(model: type[models.Model]) -> None:
    """Have every one-line field of the model refuse what breaks a line, wherever it is validated."""
    for field in lines_of(model):
        if one_line not in field.validators:
            field.validators.append(one_line)


@cache
def typed_lines(model: type[models.Model]) -> tuple[str, ...]:
    """The names of the one-line fields of a model of ours that people fill in."""
    meta = model._meta
    if meta.app_label not in APPS or meta.model_name in BY_MACHINES:
        return ()
    return tuple(field.attname for field in lines_of(model))


def refuse_broken_lines(
    sender: type[models.Model], instance: models.Model, raw: bool = False, update_fields: Any = None, **_: Any
) -> None:
    """Before any row is saved, through whichever door: Refusal "control_character" for a one-line field that breaks."""
    if raw:
        return
    unread = instance.get_deferred_fields()
    for name in typed_lines(sender):
        value = None if name in unread else getattr(instance, name)
        if (
            isinstance(value, str)
            and (update_fields is None or name in update_fields)
            and text_rules.breaks(value)
        ):
            raise Refusal(str(BROKEN), code="control_character", field=name)
