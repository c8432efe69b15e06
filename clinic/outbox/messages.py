"""What an e-mail says, and how it is written down for a mail server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.mime.text import MIMEText
from email.utils import formataddr, parseaddr
from typing import Any, TypeVar

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string

from clinic.models import OutgoingEmail
from clinic.outbox.letterheads import logo_of, logo_part, with_logo

#: Stands for the patient's first name in a text that is kept for many e-mails.
NAME = "Name-of-the-patient"


@dataclass(frozen=True)
class Attachment:
    """A text file that goes with an e-mail, in UTF-8. `parameters` of its type: {"method": "PUBLISH"}."""

    name: str
    text: str
    subtype: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """What an e-mail says: rendered when it is sent, never stored.

    `language`: in which it is written, as a code. `to`: where it goes, if that may have changed since it was queued; ""
    to the address that it was queued for.
    """

    subject: str
    text: str
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    to: str = ""
    language: str = ""


@dataclass(frozen=True)
class Skip:
    """The reason, as a code, why an e-mail that was queued must not go out any more."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """Not at this hour: from `until` (UTC) on it may go out, after one more look. `reason` as a code."""

    until: datetime
    reason: str


def html_of(template: str, context: dict[str, Any]) -> str:
    """The HTML of an e-mail, from a template that extends `clinic/letter.html`.

    Mail programs want the style at each element. What is for dark screens stays in the head, for those that heed it.
    """
    return css_inline.inline(render_to_string(template, context), keep_at_rules=True)


Rendered = Message | Skip | Wait
#: What renders several e-mails of one template: their contexts and `now` in, as many results in the same order out.
InBulk = Callable[[list[dict[str, Any]], datetime], Sequence[Rendered]]
Template = TypeVar("Template", bound=Callable[..., Rendered])


def in_bulk(render: InBulk) -> Callable[[Template], Template]:
    """For a template of which many go out at once: a faster way to render several, which gives the same."""

    def add(template: Template) -> Template:
        setattr(template, "in_bulk", render)  # noqa: B010  # a function's type knows of no attributes
        return template

    return add


def compose(email: OutgoingEmail, message: Message, connection: BaseEmailBackend) -> EmailMultiAlternatives:
    """The MIME message: text, HTML beside it, what goes with it, and a Message-ID that every attempt shares.

    It comes from the name that its site has chosen for mailboxes to show, and has the site's logo. Wants `site` and its
    `logo` selected.
    """
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    domain = address.rpartition("@")[2] or "localhost"
    mime = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text,
        from_email=formataddr((email.site.sender_name or name, address)),
        to=[email.to],
        connection=connection,
        reply_to=[email.site.reply_to] if email.site.reply_to else None,
        headers={"Message-ID": f"<{email.message_id}@{domain}>", "Auto-Submitted": "auto-generated"}
        | ({"Content-Language": message.language} if message.language else {})
        | message.headers,
    )
    if message.html:
        logo = logo_of(email.site)
        mime.attach_alternative(with_logo(message.html, "cid:logo") if logo else message.html, "text/html")
        if logo:
            mime.attach(logo_part(logo))
    for attachment in message.attachments:
        part = MIMEText(attachment.text, attachment.subtype, "utf-8")
        part.set_param("name", attachment.name)
        for name, value in attachment.parameters.items():
            part.set_param(name, value)
        part.add_header("Content-Disposition", "attachment", filename=attachment.name)
        mime.attach(part)
    return mime
