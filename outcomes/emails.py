"""What the e-mails say. Nothing about anybody's health: no procedure, no diagnosis, no score, no full name."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import css_inline
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape
from django.utils.translation import gettext as _

from clinic.mail import Message, Skip, in_bulk
from outcomes.models import CheckIn
from outcomes.services.answering import issue_links
from outcomes.services.asking import why_not_to_ask

#: Stands for the link in a sheet that is kept; every e-mail has a link of its own.
LINK = "https://link.invalid/"

#: The columns that an invitation looks at, and no others: this is read once an e-mail.
NEEDED = CheckIn.objects.select_related("follow_up__patient", "follow_up__procedure__site").only(
    *("status", "closes_at"),
    *(
        f"follow_up__patient__{name}"
        for name in (
            "language",
            "email",
            "consented_at",
            "opted_out_at",
            "bounced_at",
            "died_on",
            "merged_into",
        )
    ),
    *(f"follow_up__procedure__site__{name}" for name in ("name", "phone", "emergency_phone", "time_zone")),
)


def invitations(contexts: list[dict[str, Any]], now: datetime) -> list[Message | Skip]:
    """The questions of several check-ins, each in its patient's language with a link of its own.

    Two round trips to the database for all of them. `contexts`: what `invitation` takes besides `now`.
    """
    wanted = [context["check_in_id"] for context in contexts]
    found = NEEDED.in_bulk(wanted)
    check_ins = [found[pk] for pk in wanted]
    reasons = [why_not_to_ask(check_in, check_in.follow_up.patient, now=now) for check_in in check_ins]
    asked = [check_in for check_in, reason in zip(check_ins, reasons, strict=True) if not reason]
    tokens = iter(issue_links(asked, now=now))
    return [
        Skip(reason) if reason else ask(check_in, next(tokens))
        for check_in, reason in zip(check_ins, reasons, strict=True)
    ]


@in_bulk(invitations)
def invitation(check_in_id: int, *, now: datetime) -> Message | Skip:
    """The question of one check-in, in the patient's language, with a link of its own."""
    (rendered,) = invitations([{"check_in_id": check_in_id}], now)
    return rendered


def ask(check_in: CheckIn, token: str) -> Message:
    """What is written with the link of that token."""
    site = check_in.follow_up.procedure.site
    url = settings.SITE_URL + reverse("check_in", args=[token])
    until = check_in.closes_at.astimezone(site.zone).replace(tzinfo=None)  # or templates show UTC
    language = check_in.follow_up.patient.language
    sheet = invitation_sheet(language, site.name, site.phone, site.emergency_phone, until)
    return Message(sheet.subject, sheet.text.replace(LINK, url), sheet.html.replace(LINK, escape(url)))


@lru_cache(maxsize=256)
def invitation_sheet(language: str, site: str, phone: str, emergency_phone: str, until: datetime) -> Message:
    """What the invitations of one site and language that close at the same time share, with LINK in it.

    `until` is a wall time at the site, without a zone. Kept, because inlining the style and rendering take longer than
    everything else about an e-mail in this process.
    """
    with translation.override(language):
        context = {
            "url": LINK,
            "site": {"name": site, "phone": phone, "emergency_phone": emergency_phone},
            "language": language,
            "until": until,
        }
        return Message(
            subject=_("How are you? Two minutes for %(site)s") % {"site": site},
            text=render_to_string("outcomes/email/invitation.txt", context),
            html=css_inline.inline(render_to_string("outcomes/email/invitation.html", context)),
        )
