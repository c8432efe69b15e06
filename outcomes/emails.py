"""What the e-mails say. Nothing about anybody's health: no procedure, no diagnosis, no score, no full name."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.links import new_token
from clinic.models import Site
from clinic.outbox import EXAMPLE, NAME, Letterhead, Message, Preview, Skip, Wait, html_of, in_bulk
from outcomes.models import Alert, CheckIn, FollowUp
from outcomes.schedule import DAY
from outcomes.services.alert_emails import OVERDUE, RAISED, why_not_to_announce
from outcomes.services.invitations import waits_until, why_not_to_ask
from outcomes.services.links import issue_links, takes_reports, token_of_all, tokens_together
from patients.models import Caregiver, Patient, Reader
from patients.unsubscribe import unsubscribe_headers
from procedures.models import Procedure

SITE = (
    *("name", "phone", "emergency_phone", "time_zone", "emails_paused", "greets_by_first_name"),
    *("quiet_from", "quiet_until", "address", "reply_to"),
)
#: The columns that an invitation looks at, and no others: this is read once an e-mail.
NEEDED = CheckIn.objects.select_related(
    "follow_up__patient", "follow_up__procedure__site", "follow_up__procedure__procedure_type"
).only(
    *(
        "kind",
        "status",
        "due_at",
        "closes_at",
        "offset_minutes",
        "follow_up__patient_id",
        "follow_up__closed_at",
    ),
    *("follow_up__procedure__performed_at", "follow_up__procedure__intent"),
    "follow_up__procedure__procedure_type__restarts",
    *(
        f"follow_up__patient__{name}"
        for name in (
            "family_name",
            "given_name",
            "language",
            "unsubscribe_key",
            "email",
            "consented_at",
            "opted_out_at",
            "bounced_at",
            "died_on",
            "merged_into",
        )
    ),
    *(f"follow_up__procedure__site__{name}" for name in SITE),
)


def invitations(contexts: list[dict[str, Any]], now: datetime) -> list[Message | Skip | Wait]:
    """The questions of several e-mails, each in its reader's language with links of its own: to what is asked, and to
    where the patient, or who answers for them, says that the pain is back before they are asked again.

    Three round trips to the database for all of them. `contexts`: what `invitation` takes besides `now`.
    """
    found = NEEDED.in_bulk([pk for context in contexts for pk in context["check_in_ids"]])
    caregivers = Caregiver.objects.asked_for([check_in.follow_up.patient for check_in in found.values()])
    asked: list[list[CheckIn] | Skip | Wait] = [
        what_to_ask([found[pk] for pk in context["check_in_ids"]], caregivers, now=now)
        for context in contexts
    ]
    sent = [(some, courses_of(some)) for some in asked if isinstance(some, list)]
    linked: list[CheckIn | FollowUp] = []
    tokens: list[str] = []
    for some, courses in sent:
        linked += [*some, *courses]
        # One button leads to all of them, one after the other.
        tokens += [*tokens_together(len(some)), *(new_token() for _ in courses)]
    issue_links(linked, tokens=tokens, caregivers=caregivers, now=now)
    left = iter(tokens)
    return [
        invitation_context(
            [(check_in, next(left)) for check_in in some],
            reminder=context["reminder"],
            courses=[(course, next(left)) for course in courses_of(some)],
            caregiver=caregivers.get(some[0].follow_up.patient_id),
        )
        if isinstance(some, list)
        else some
        for some, context in zip(asked, contexts, strict=True)
    ]


def courses_of(check_ins: Sequence[CheckIn]) -> list[FollowUp]:
    """The follow-ups of these check-ins, each once, of which the patient can say that the pain is back."""
    each = {check_in.follow_up_id: check_in.follow_up for check_in in check_ins}
    return [follow_up for follow_up in each.values() if takes_reports(follow_up)]


def what_to_ask(
    check_ins: list[CheckIn], caregivers: Mapping[int, Caregiver], *, now: datetime
) -> list[CheckIn] | Skip | Wait:
    """Which of the check-ins of one e-mail get a link in it, or why it does not go out now.

    `caregivers`: who is asked in the place of which patient, by the patient's number.
    """
    patient = check_ins[0].follow_up.patient
    reader: Reader = caregivers.get(patient.pk, patient)
    reasons = [why_not_to_ask(check_in, reader, now=now) for check_in in check_ins]
    asked = links_for([check_in for check_in, reason in zip(check_ins, reasons, strict=True) if not reason])
    if not asked:
        return Skip(reasons[0])
    mornings = [morning for check_in in asked if (morning := waits_until(check_in, now=now))]
    return Wait(max(mornings), "quiet_hours") if len(mornings) == len(asked) else asked


def links_for(check_ins: list[CheckIn]) -> list[CheckIn]:
    """The check-ins, of a diary's entries only the first: they share its page."""
    first: dict[tuple[int, int], CheckIn] = {}
    for check_in in check_ins:
        by_day = check_in.kind != CheckIn.Kind.PLANNED or check_in.offset_minutes % DAY == 0
        first.setdefault((check_in.follow_up_id, check_in.offset_minutes if by_day else 0), check_in)
    return list(first.values())


@in_bulk(invitations)
def invitation(check_in_ids: list[int], reminder: int, *, now: datetime) -> Message | Skip | Wait:
    """The questions of some check-ins of one patient, in the reader's language, with links of their own.

    `reminder` counts: 0 for the first time that they are asked.
    """
    (rendered,) = invitations([{"check_in_ids": check_in_ids, "reminder": reminder}], now)
    return rendered


def invitation_context(
    asked: list[tuple[CheckIn, str]],
    *,
    reminder: int,
    courses: Sequence[tuple[FollowUp, str]] = (),
    caregiver: Caregiver | None = None,
) -> Message:
    """What is written about these check-ins, each with the token of its link.

    `reminder`: 0 for the first time, then how often they were reminded of. `courses`: the follow-ups of which the
    patient can say at any time that the pain is back, each with the token of that link.
    `caregiver`: who is asked in the patient's place; then the e-mail says so.
    """
    first = asked[0][0]
    site, patient = first.follow_up.procedure.site, first.follow_up.patient
    reader: Reader = caregiver or patient
    until = min(check_in.closes_at for check_in, _token in asked).astimezone(site.zone)
    sheet = invitation_sheet(
        reader.language,
        Letterhead.of(site),
        until.replace(tzinfo=None),  # or templates show UTC
        max(check_in.due_at for check_in, _token in asked).astimezone(site.zone).date(),
        tuple(visit(check_in.follow_up) for check_in, _token in asked),
        tuple(visit(follow_up) for follow_up, _token in courses),
        reminder,
        NAME if site.greets_by_first_name else "",
        caregiver is not None,
    )
    text, html = sheet.text, sheet.html
    paths = [reverse("check_in", args=[token_of_all(asked[0][1])])]
    paths += [reverse("pain_back", args=[token]) for _one, token in courses]
    for number, path in enumerate(paths):
        url = settings.SITE_URL + path
        text, html = text.replace(link(number), url), html.replace(link(number), escape(url))
    return Message(
        sheet.subject,
        text.replace(NAME, patient.called),
        html.replace(NAME, escape(patient.called)),
        headers=unsubscribe_headers(reader),
        to=reader.email,
        language=reader.language,
    )


def visit(follow_up: FollowUp) -> date:
    """The day of the visit that a follow-up is about, on the site's calendar."""
    procedure = follow_up.procedure
    return procedure.performed_at.astimezone(procedure.site.zone).date()


def link(number: int) -> str:
    """Stands for a link in a sheet that is kept; every e-mail has links of its own."""
    return f"https://link-{number}.invalid/"


@lru_cache(maxsize=256)
def invitation_sheet(
    language: str,
    site: Letterhead,
    until: datetime,
    day: date,
    visits: tuple[date, ...],
    courses: tuple[date, ...],
    reminder: int,
    name: str,
    for_caregiver: bool,
) -> Message:
    """What the e-mails of one site and language that close at the same time share, with `link` and NAME in it.

    `until` is a wall time at the site, without a zone; `day` that for which it is asked, by which a mailbox, which may
    show neither the site's name nor what it is about, tells one e-mail from the next; `visits` the days of the visits
    that are asked about, `courses` of those of which the patient can say at any time that things are worse; days are
    named only where there are several. `for_caregiver`: it goes to who answers for the patient, whom `name` then
    names. Kept, because inlining the style and rendering take longer than everything
    else about an e-mail in this process.
    """
    with translation.override(language):
        own = (
            _("How are you? %(day)s"),
            _("A reminder: how are you? %(day)s"),
            _("A reminder, the last: how are you? %(day)s"),
        )
        anothers = (
            _("How is the person you care for? %(day)s"),
            _("A reminder: how is the person you care for? %(day)s"),
            _("A reminder, the last: how is the person you care for? %(day)s"),
        )
        subject = (anothers if for_caregiver else own)[min(reminder, 2)] % {
            "day": date_format(day, "MONTH_DAY_FORMAT")
        }
        context = {
            "title": subject,
            "url": link(0),
            "visits": sorted(set(visits)),
            "later": [(link(number), day) for number, day in enumerate(courses, start=1)],
            "site": site,
            "language": language,
            "until": until,
            "reminder": reminder,
            "name": name,
        }
        kind = "caregiver" if for_caregiver else "invitation"
        return Message(
            subject=subject,
            text=render_to_string(f"outcomes/email/{kind}.txt", context),
            html=html_of(f"outcomes/email/{kind}.html", context),
        )


def alert(alert_id: int, occasion: str, *, now: datetime) -> Message | Skip:
    """That there is an alert at a site, how urgent it is, and where to look: for staff, in English.

    Not what it is about, nor whom. `occasion`: see `outcomes.services.alert_emails`.
    """
    found = Alert.objects.select_related("site").get(pk=alert_id)
    reason = why_not_to_announce(found, occasion, now=now)
    return Skip(reason) if reason else announcement(found, occasion)


def announcement(found: Alert, occasion: str) -> Message:
    """What is written about an alert."""
    site = found.site
    with translation.override("en"):
        context = {
            "url": settings.SITE_URL + reverse("admin:outcomes_alert_change", args=[found.pk]),
            "title": _("Alert"),
            "site": site,
            "language": "en",
            "how_soon": how_soon(found, occasion),
            "due": f"{found.due_at.astimezone(site.zone):%A %-d %B, %H:%M %Z}",
            "overdue": occasion == OVERDUE,
        }
        return Message(
            subject=_("Alert at %(site)s: %(how_soon)s")
            % {"site": site.sender_name or site.name, "how_soon": context["how_soon"]},
            text=render_to_string("outcomes/email/alert.txt", context),
            html=html_of("outcomes/email/alert.html", context),
            language="en",
        )


def how_soon(alert: Alert, occasion: str) -> str:
    """When somebody must look, as it is said in a subject."""
    if occasion == OVERDUE:
        return _("overdue")
    if alert.urgency == Alert.Urgency.EMERGENCY:
        return _("look within %(minutes)d minutes") % {"minutes": alert.site.emergency_alert_minutes}
    return _("look today")


#: A made-up time until which the links of the previews would work.
SOME_TIME = datetime(2027, 1, 15, 22, tzinfo=UTC)


def preview(language: str, site: Site, *, visits: int, reminder: int, for_caregiver: bool = False) -> Message:
    """The question about so many visits of somebody made up, with links that lead nowhere."""
    patient = Patient(given_name="Maria", language=language, unsubscribe_key=UUID(int=0))
    days = [timedelta(days=30 * number) for number in range(1, visits + 1)]
    asked = [
        CheckIn(
            follow_up=FollowUp(
                patient=patient, procedure=Procedure(site=site, performed_at=SOME_TIME - before)
            ),
            due_at=SOME_TIME - timedelta(days=5),
            closes_at=SOME_TIME,
        )
        for before in days
    ]
    courses = [(check_in.follow_up, EXAMPLE) for check_in in asked]
    answers = Caregiver(patient=patient, language=language, unsubscribe_key=UUID(int=0))
    return invitation_context(
        [(check_in, EXAMPLE) for check_in in asked],
        reminder=reminder,
        courses=courses,
        caregiver=answers if for_caregiver else None,
    )


def preview_alert(_language: str, site: Site, *, occasion: str) -> Message:
    """The announcement of an alert that there is not."""
    made_up = Alert(pk=0, site=site, urgency=Alert.Urgency.SAME_DAY, due_at=SOME_TIME)
    return announcement(made_up, occasion)


#: What can be looked at in the admin.
PREVIEWS = [
    Preview("check-in", gettext_lazy("Check-in: the question"), partial(preview, visits=1, reminder=0)),
    Preview("reminder", gettext_lazy("Check-in: reminder"), partial(preview, visits=1, reminder=1)),
    Preview("check-ins", gettext_lazy("Check-ins: two at once"), partial(preview, visits=2, reminder=0)),
    Preview("reminders", gettext_lazy("Check-ins: reminder of two"), partial(preview, visits=2, reminder=1)),
    Preview(
        "caregiver",
        gettext_lazy("Check-in: the question, to a caregiver"),
        partial(preview, visits=1, reminder=0, for_caregiver=True),
    ),
    Preview(
        "alert",
        gettext_lazy("Alert, for staff"),
        partial(preview_alert, occasion=RAISED),
        languages=("en",),
    ),
    Preview(
        "alert-overdue",
        gettext_lazy("Alert overdue, for staff"),
        partial(preview_alert, occasion=OVERDUE),
        languages=("en",),
    ),
]
