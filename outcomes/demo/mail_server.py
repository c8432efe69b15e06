"""The mail server of the made-up past: it takes every e-mail, delivers none, and knows that one domain is gone."""

from collections.abc import Sequence
from smtplib import SMTPRecipientsRefused

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

#: Reserved for fiction, like the two under which the other patients have their addresses.
GONE = "@example.net"


class Post(BaseEmailBackend):
    """Refuses who writes to GONE with the words of a real server; everything else it takes and forgets."""

    #: Nothing is sent this way, so nothing is counted and no restore stops it.
    delivers = False

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        for message in messages:
            gone = {address: (550, b"5.1.1 no such user") for address in message.to if address.endswith(GONE)}
            if gone:
                raise SMTPRecipientsRefused(gone)
        return len(messages)
