"""What `manage.py check --deploy` says about this project's own settings."""

from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from clinic.models import Site

#: The port on which PgBouncer listens unless told otherwise.
PGBOUNCER = "6432"
#: The last commit that has all migrations which `0001_schema` of each app stands for.
LAST_BEFORE_THE_SCHEMA = "721a1e4"


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


@register()
def pooler_is_known(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """A pooler that gives each transaction another connection breaks what expects its own, and not at once.

    It is known by its port, and, where the database may be asked (`check --database default`, `migrate`), because the
    process that answers is not the one that took the connection.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    if database.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return []
    pooled = str(database.settings_dict.get("PORT")) == PGBOUNCER
    if DEFAULT_DB_ALIAS in (databases or ()) and not pooled:
        pooled = answered_by_another(database)
    if not pooled:
        return []
    return [
        Error(
            "There is a pooler between the service and the database, and DATABASE_POOLER is not set.",
            hint="Set DATABASE_POOLER to its host:port. Otherwise statements and cursors that one connection has"
            " prepared are looked for on another, and settings are handed on to strangers.",
            id="clinic.E001",
        )
    ]


def answered_by_another(database: Any) -> bool:
    """Whether another process of the server answers than the one that the connection was told of at its start."""
    database.ensure_connection()
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (answers,) = cursor.fetchone()
    return bool(database.connection.info.backend_pid != answers)


@register(Tags.database)
def the_first_migrations_can_stand_in(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """An app's first migration makes the tables of all that came before it at once. A database in which only some of
    those were applied is brought to the last of them first. `migrate` asks before it begins."""
    if not databases:
        return []
    loader = MigrationLoader(None, ignore_no_migrations=True)
    applied = set(MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations())
    behind = [
        key
        for key, first in loader.replacements.items()
        if applied & set(first.replaces) and not set(first.replaces) <= applied
    ]
    if not behind:
        return []
    apps = ", ".join(sorted(app for app, _name in behind))
    return [
        Error(
            f"This database was made by an older version of the service, and lacks migrations of: {apps}.",
            hint=f"Start it once with version {LAST_BEFORE_THE_SCHEMA} (`manage.py up`; in a deployment its service"
            " `migrate`), then with this one.",
            id="clinic.E002",
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
