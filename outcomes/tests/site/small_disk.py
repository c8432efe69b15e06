"""A disk that a test may fill to the last byte: a small file system in memory, as root or as an ordinary user."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 2**20
#: Mounts in namespaces of its own, says so, and holds them until its input ends.
HOLDER = 'mount -t tmpfs -o size={size}m,mode=700 none "{folder}" && echo mounted && exec cat'


@dataclass(frozen=True)
class SmallDisk:
    """`folder`: where it begins, as this process and the servers that it starts see it."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Until nothing at all fits any more."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (MEGABYTE, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        assert os.statvfs(self.folder).f_bavail == 0

    def free(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk | None]:
    """An empty disk at the empty `folder` until the block ends; None where this machine forbids every way to one.

    Root mounts it. An ordinary user does so in a user namespace, and comes to it by the folder of the process that
    holds the namespace.
    """
    if not sys.platform.startswith("linux"):
        yield None
    elif os.geteuid() == 0:
        size = f"size={megabytes}m,mode=700"
        mounted = not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "none", str(folder)], capture_output=True
        ).returncode
        try:
            yield SmallDisk(folder) if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        script = HOLDER.format(size=megabytes, folder=folder)
        with subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as holder:
            assert holder.stdout
            mounted = holder.stdout.readline() == b"mounted\n"
            yield SmallDisk(Path(f"/proc/{holder.pid}/root{folder}")) if mounted else None
