"""What patients are asked: instruments, each version a readable file, with its words, scales, score and licence.

The files beside this one ship with the project. A site adds its own, under its own licence, in the folder that the
setting `INSTRUMENTS_DIR` names; docs/instruments.md says how. A measurement keeps instrument, version and item, so
that what was asked can be read years later: a file is never changed once patients have answered it.
"""

from functools import cache
from pathlib import Path
from types import MappingProxyType

from django.conf import settings

from clinic.refusals import Refusal
from outcomes.instruments.definitions import (
    SCORE,
    BilingualText,
    ImportantChange,
    Instrument,
    Item,
    ItemChoice,
    Scale,
    Scoring,
    Wording,
)
from outcomes.instruments.loader import Registry, join, read_instruments

#: Where the project's own instruments lie.
FOLDER = Path(__file__).parent


def registry() -> Registry:
    """Every instrument by (key, version), in that order: the project's, and those of the folder `INSTRUMENTS_DIR`.

    Files are read once a process. Raises PagesError when one of them cannot be used; the system check
    `outcomes.E001` says so before anything starts.
    """
    return load(settings.INSTRUMENTS_DIR)


@cache
def load(folder: str) -> Registry:
    """The project's instruments and those of a site's folder; an empty path means none. Raises PagesError."""
    return MappingProxyType(join(read_instruments(FOLDER), read_instruments(Path(folder)) if folder else {}))


def latest(key: str) -> Instrument:
    """The newest version of an instrument. Raises Refusal, code "unknown_instrument", when there is none."""
    versions = [instrument for instrument in registry().values() if instrument.key == key]
    if not versions:
        raise Refusal(f"There is no instrument “{key}”.", code="unknown_instrument", field="instrument")
    return versions[-1]
