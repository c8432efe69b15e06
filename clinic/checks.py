"""What `manage.py check --deploy` says about this project's own settings."""

from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError, transaction

from clinic.models import Site


@register(Tags.security, deploy=True)
def sender_and_site_share_a_domain(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """E-mail from one domain with links to another looks like fraud, and mail services refuse it or hide it.

    A warning only: what really counts, SPF and DKIM for the sender's domain, is seen by nobody in here.
    """
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].lower()
    site = (urlsplit(settings.SITE_URL).hostname or "").lower()
    if organisation(sender) == organisation(site) and "." in sender:
        return []
    return [
        Warning(
            f"E-mail is sent from the domain {sender or 'of nobody'}, and its links lead to {site}.",
            hint="Set DEFAULT_FROM_EMAIL to an address of the same domain as SITE_URL, with SPF, DKIM and DMARC.",
            id="clinic.W001",
        )
    ]


@register(Tags.database)
def somebody_is_told_of_alerts(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """An alert of a site without an address waits in a list until somebody looks. `manage.py check --database default`
    asks the database; migrations do, too, where the table is there already."""
    if not databases:
        return []
    try:
        with transaction.atomic():
            silent = list(Site.objects.filter(alert_email="").values_list("name", flat=True))
    except DatabaseError:  # not migrated yet
        return []
    return [
        Warning(
            f"Nobody is told by e-mail when a patient of {name} says yes to a red flag.",
            hint="Name an address at “alerts are announced to” of the site.",
            id="clinic.W002",
        )
        for name in silent
    ]


def organisation(domain: str) -> str:
    """The last two names of a domain; under a country's own second level ("example.co.uk") that says too little."""
    return ".".join(domain.split(".")[-2:])
