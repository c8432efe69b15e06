"""The outside copy: a small file that says which database has sent how often, where no restore of it reaches.

It lies in SENDING_COPY_DIR, which all senders share. Who writes it holds the lock of the database's identity.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings

NAME = "counter.json"


@dataclass(frozen=True)
class OutsideCopy:
    """What the file holds. `at` (UTC): the sender's clock when the counter was last raised; None before that."""

    identity: UUID
    counter: int
    at: datetime | None


class UnreadableCopy(Exception):
    """There is a file, and it holds no copy."""


def folder() -> Path:
    return Path(settings.SENDING_COPY_DIR)


def read_copy() -> OutsideCopy | None:
    """The copy; None where there is none.

    Raises Unreadable for a file that holds something else, and OSError when it cannot be read.
    """
    try:
        text = (folder() / NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        held = json.loads(text)
        at = datetime.fromisoformat(held["at"]) if held["at"] else None
        if at is not None and at.tzinfo is None:
            raise ValueError
        return OutsideCopy(UUID(held["identity"]), int(held["counter"]), at)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnreadableCopy from exc


def write(copy: OutsideCopy) -> None:
    """Put the copy in the place of the one before, so that it outlives a loss of power; OSError when it cannot be.

    Half a file never stands there: it is written beside, brought to the disk, and renamed; then the folder, too.
    """
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place / f"{NAME}.{uuid4().hex[:8]}"
    held = {
        "identity": str(copy.identity),
        "counter": copy.counter,
        "at": copy.at.isoformat() if copy.at else None,
    }
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(json.dumps(held) + "\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(place / NAME)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
