"""The application that the bench gives to gunicorn: the service as in production, and one more address, `noop/`."""

from itertools import count
from random import randrange
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

service = get_wsgi_application()
#: Numbers the requests of this process.
NUMBERS = count(randrange(1 << 24))
settings.ROOT_URLCONF = "bench.web"
# Nobody has collected the static files: their names go unhashed.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


def noop(request: HttpRequest) -> HttpResponse:
    """What every request costs: the same server and middleware, and nothing behind them."""
    return HttpResponse("nothing")


def from_everywhere(environ: dict[str, Any], start_response: Any) -> Any:
    """Each request from an address of its own, as patients' are: the throttle by address counts, and stops nobody."""
    number = next(NUMBERS)
    environ["REMOTE_ADDR"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return service(environ, start_response)


application = from_everywhere
urlpatterns = [path("noop/", noop), path("", include("clinic.urls"))]
