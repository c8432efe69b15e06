"""Folders for sockets and for throw-away servers: private, with a short path, swept."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from clinic.dev.embedded.programs import ServerFailed

LONGEST_SOCKET_PATH = 100  # bytes; Linux ends at 107, macOS at 103


def socket_folder(data: Path, *, owner: tuple[int, int] = (-1, -1), place: Path | None = None) -> Path:
    """A folder of mode 700 for the socket of the server on `data`; made when missing, the same at each call.

    Args:
        owner: the user and group id that shall own it; -1 means this process's.
        place: where to make it; None means the user's runtime folder or the folder for temporary files.

    Raises:
        ServerFailed: somebody else made a folder of that name, which is not to be trusted.
    """
    mine = os.geteuid() if owner[0] < 0 else owner[0]
    name = f"clinic-{hashlib.sha256(f'{mine}:{data}'.encode()).hexdigest()[:16]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if owner[0] >= 0 or not os.path.isdir(runtime) or os.stat(runtime).st_uid != mine:
        runtime = ""  # inherited from another user, or not passable for the server
    folder = (place or _short_place(runtime)) / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if owner[0] >= 0:
            os.chown(folder, *owner)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != mine or found.st_mode & 0o077:
        raise ServerFailed(
            f"{folder} is not a private folder of yours. Remove it, or set TMPDIR to a folder of your own."
        )
    return folder


def _short_place(first: str = "") -> Path:
    """The first writable folder whose path leaves room for a socket's name and needs no quoting in a URL."""
    for place in (first, tempfile.gettempdir(), "/tmp"):  # noqa: S108  # only for folders of our own
        if (
            re.fullmatch(r"[\w./+-]+", place)
            and len(place) + 65 < LONGEST_SOCKET_PATH
            and os.access(place, os.W_OK)
        ):
            return Path(place)
    raise ServerFailed(
        "No writable folder for temporary files was found: set TMPDIR to one with a short path."
    )


def throwaway_folder() -> tuple[Path, int]:
    """A new temporary folder and the descriptor whose lock marks its use; sweeps what killed runs left."""
    place = _short_place()
    for old in place.glob("clinic-throwaway-*"):
        with contextlib.suppress(OSError):
            lock = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = os.fstat(lock)
                # A minute's grace: its owner may be about to lock it.
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > 60:
                    shutil.rmtree(old, ignore_errors=True)
            finally:
                os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix="clinic-throwaway-", dir=place))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock
