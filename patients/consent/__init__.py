"""What a patient is told before they agree to e-mail: versioned texts, one file a language.

A text that somebody agreed to is never changed; a new one gets a new version: `email-2.en.txt`. Which version a patient
agreed to stands in their row (`consent_version`).
"""

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
#: The version that is read out or printed today.
CURRENT = "1"


def known(version: str) -> bool:
    """Whether there is a consent text of that version."""
    return version in versions()


@lru_cache
def versions() -> frozenset[str]:
    """The versions of which there is a text in English, which is in every one."""
    return frozenset(path.name.split(".")[0].removeprefix("email-") for path in FOLDER.glob("email-*.en.txt"))


@lru_cache
def texts(version: str = CURRENT) -> dict[str, str]:
    """The text of one version by language code, English first. Raises KeyError for a version that there is not."""
    if not known(version):
        raise KeyError(version)
    paths = sorted(
        FOLDER.glob(f"email-{version}.*.txt"), key=lambda path: (".en." not in path.name, path.name)
    )
    return {path.name.split(".")[1]: path.read_text(encoding="utf-8").strip() for path in paths}
