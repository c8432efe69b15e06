"""The application that the bench gives to gunicorn: the service as in production, asked from everywhere."""

from itertools import count
from random import randrange
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

service = get_wsgi_application()
#: Numbers the requests of this process.
NUMBERS = count(randrange(1 << 24))
# Nobody has collected the static files: their names go unhashed.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


def from_everywhere(environ: dict[str, Any], start_response: Any) -> Any:
    """Each request from an address of its own, as patients' are: the throttle by address counts, and stops nobody."""
    number = next(NUMBERS)
    environ["REMOTE_ADDR"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return service(environ, start_response)


application = from_everywhere
