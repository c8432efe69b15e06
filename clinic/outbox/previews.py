"""E-mails to look at before anybody gets them, with made-up data."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise

from clinic.models import Site
from clinic.outbox.messages import Message

#: Stands in a preview where an e-mail has a link of its own.
EXAMPLE = "example"


@dataclass(frozen=True)
class Preview:
    """One e-mail as the admin shows it. Each app lists its own in `emails.PREVIEWS`.

    `key`: its address there. `render`: the language ("en", "es") and the site in, what is sent out; it reads no
    patient and writes nothing. `languages`: those in which it is written.
    """

    key: str
    title: str | Promise
    render: Callable[[str, Site], Message]
    languages: tuple[str, ...] = ("en", "es")
