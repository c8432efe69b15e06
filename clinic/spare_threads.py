"""Some threads of a web process always stay free: for /health/, and to say that the others are taken.

While the database hangs whoever waits for it keeps a thread, and no limit of the database's own counts then. Without
this a handful of patients and clerks takes all of them, and /health/live waits behind.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from threading import Semaphore

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views import defaults

logger = logging.getLogger(__name__)

#: So many requests of one process are at work at once, and so many wait for their turn. The web server has SPARE
#: threads more (Dockerfile, clinic.dev.supervisor), which answer all that is left within a moment.
AT_WORK, WAITING, SPARE = 4, 16, 4
#: A request waits for its turn for so many seconds.
PATIENCE = 10
#: After so many seconds another try is worth it.
AGAIN = "5"


class ConcurrencyLimit:
    """Places for requests at work and for those that wait for their turn."""

    def __init__(self, at_work: int, waiting: int, patience: float) -> None:
        self._work, self._all = Semaphore(at_work), Semaphore(at_work + waiting)
        self._patience = patience

    def take(self) -> bool:
        """Whether there is a place at work for this request, within `patience` seconds."""
        if not self._all.acquire(blocking=False):
            return False
        if self._work.acquire(timeout=self._patience):
            return True
        self._all.release()
        return False

    def give_back(self) -> None:
        self.stop_work()
        self.leave()

    def stop_work(self) -> None:
        """Let another request work, while this one still keeps its thread."""
        self._work.release()

    def leave(self) -> None:
        self._all.release()


class StreamedBody:
    """What a response sends piece by piece. The web server closes it however it ends: sent, broken off, not begun."""

    def __init__(self, pieces: Iterable[bytes], leave: Callable[[], None]) -> None:
        self._pieces, self._leave = iter(pieces), ExitStack()
        self._leave.callback(leave)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._leave.close()  # a second time does nothing


class SpareThreadsMiddleware:
    """503 with `Retry-After` for what finds no place, code "busy" below /api/; /health/ needs none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.places = ConcurrencyLimit(AT_WORK, WAITING, PATIENCE)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith("/health/"):
            return self.get_response(request)
        if not self.places.take():
            logger.error("no thread is free: those at work wait for something, or too much is asked at once")
            return busy(request)
        try:
            response = self.get_response(request)
        except BaseException:
            self.places.give_back()
            raise
        if isinstance(response, StreamingHttpResponse):  # its thread is taken until the last piece is sent
            self.places.stop_work()
            response.streaming_content = StreamedBody(response, self.places.leave)
        else:
            self.places.give_back()
        return response


def busy(request: HttpRequest) -> HttpResponse:
    """Asks the database for nothing."""
    response: HttpResponse
    if request.path.startswith("/api/"):
        said = "The service is busy. Nothing was saved: try again."
        problem = {"type": "about:blank", "title": said, "status": 503, "code": "busy", "errors": []}
        response = JsonResponse(problem, content_type="application/problem+json")
    else:
        response = defaults.server_error(request)
    response.status_code, response["Retry-After"] = 503, AGAIN
    return response
