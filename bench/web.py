"""The application that the bench gives to gunicorn: the service as in production, and one more address, `noop/`."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

application = get_wsgi_application()
settings.ROOT_URLCONF = "bench.web"
# Nobody has collected the static files: their names go unhashed.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


def noop(request: HttpRequest) -> HttpResponse:
    """What every request costs: the same server and middleware, and nothing behind them."""
    return HttpResponse("nothing")


urlpatterns = [path("noop/", noop), path("", include("clinic.urls"))]
