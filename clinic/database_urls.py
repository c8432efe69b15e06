"""What the address of the database in the environment means; settings.py reads them. Knows no settings."""

import environ
from django.core.exceptions import ImproperlyConfigured

#: Nobody waits for a server that takes no connections, nor long for one that is no longer there. Seconds; the last
#: milliseconds. What the address itself says wins.
PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def database(url: str, *, kept: int, pooled: bool = False) -> dict[str, object]:
    """Django's description of the PostgreSQL database at `url`; refuses anything else with a sentence.

    `kept`: seconds for which a connection is kept between requests. `pooled`: a pooler in front gives each transaction
    another connection. Then nothing is left on one: no cursor of the server, no prepared statement
    (clinic.prepared_statements) and no setting of the tick (clinic.database); the roles have theirs.
    """
    try:
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError
        config: dict[str, object] = environ.Env.db_url_config(url)
        if not config.get("NAME"):
            raise ValueError
    except ValueError:
        raise ImproperlyConfigured(
            "database_url: DATABASE_URL must name a PostgreSQL database, "
            "like postgresql://user:password@host:5432/clinic."
        ) from None
    said = config.get("OPTIONS")
    options: dict[str, object] = said if isinstance(said, dict) else {}
    pooled = pooled or bool(config.get("DISABLE_SERVER_SIDE_CURSORS"))
    if not pooled:  # for clinic.prepared_statements: prepared at the first use, for any values
        options = {"prepare_threshold": 0, "options": "-c plan_cache_mode=force_generic_plan"} | options
    return config | {
        "CONN_MAX_AGE": kept,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": pooled,
        "OPTIONS": PATIENCE | options,
    }
