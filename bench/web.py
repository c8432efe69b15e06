"""The application that the bench gives to gunicorn: the service as in production, asked from everywhere."""

from random import randrange
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

service = get_wsgi_application()
# Nobody has collected the static files: their names go unhashed.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Each request from an address of its own, as patients' are: the throttle by address counts, and stops nobody."""
    environ["REMOTE_ADDR"] = f"10.{randrange(256)}.{randrange(256)}.{randrange(256)}"
    return service(environ, start_response)
