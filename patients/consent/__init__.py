"""What a patient, or who answers for them, is told before they agree to e-mail: versioned texts, one file a language.

A text that somebody agreed to is never changed; a new one gets a new version: `email-2.en.txt`. Which version somebody
agreed to stands in their row (`consent_version`). A caregiver has texts of their own: `caregiver-1.en.txt`.
"""

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
#: The version that is read out or printed today.
CURRENT = "1"
#: Whom a text is for, by how the names of its files begin.
PATIENT, CAREGIVER = "email", "caregiver"


def known(version: str, whose: str = PATIENT) -> bool:
    """Whether there is a consent text of that version. `whose`: PATIENT or CAREGIVER."""
    return version in versions(whose)


@lru_cache
def versions(whose: str = PATIENT) -> frozenset[str]:
    """The versions of which there is a text in English, which is in every one."""
    return frozenset(
        path.name.split(".")[0].removeprefix(f"{whose}-") for path in FOLDER.glob(f"{whose}-*.en.txt")
    )


@lru_cache
def texts(version: str = CURRENT, whose: str = PATIENT) -> dict[str, str]:
    """The text of one version by language code, English first. Raises KeyError for a version that there is not."""
    if not known(version, whose):
        raise KeyError(version)
    paths = sorted(
        FOLDER.glob(f"{whose}-{version}.*.txt"), key=lambda path: (".en." not in path.name, path.name)
    )
    return {path.name.split(".")[1]: path.read_text(encoding="utf-8").strip() for path in paths}
