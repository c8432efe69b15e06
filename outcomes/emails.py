"""What the e-mails say. Nothing about anybody's health: no procedure, no diagnosis, no score, no full name."""

from datetime import datetime
from functools import lru_cache

import css_inline
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape
from django.utils.translation import gettext as _

from clinic.mail import Message, Skip
from outcomes.models import CheckIn
from outcomes.services.answering import issue_link
from outcomes.services.asking import why_not_to_ask

#: Stands for the link in a sheet that is kept; every e-mail has a link of its own.
LINK = "https://link.invalid/"

#: The columns that an invitation looks at, and no others: this is read once an e-mail.
NEEDED = CheckIn.objects.select_related("follow_up__patient", "follow_up__procedure__site").only(
    *("status", "closes_at"),
    *(
        f"follow_up__patient__{name}"
        for name in ("language", "email", "consented_at", "opted_out_at", "bounced_at", "died_on", "merged_into")
    ),
    *(f"follow_up__procedure__site__{name}" for name in ("name", "phone", "emergency_phone", "time_zone")),
)


def invitation(check_in_id: int, *, now: datetime) -> Message | Skip:
    """The question of one check-in, in the patient's language, with a link of its own."""
    check_in = NEEDED.get(pk=check_in_id)
    patient = check_in.follow_up.patient
    reason = why_not_to_ask(check_in, patient, now=now)
    if reason:
        return Skip(reason)
    site = check_in.follow_up.procedure.site
    url = settings.SITE_URL + reverse("check_in", args=[issue_link(check_in, now=now)])
    until = check_in.closes_at.astimezone(site.zone).replace(tzinfo=None)  # or templates show UTC
    sheet = invitation_sheet(patient.language, site.name, site.phone, site.emergency_phone, until)
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
