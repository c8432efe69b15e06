"""A clinic that has sent, and one that was set back in time."""

import pytest

from clinic.tests.restored_database import sends, set_back
from procedures.tests.factories import World


@pytest.fixture
def sending(world: World) -> World:
    """A clinic that has sent one e-mail."""
    return sends(world)


@pytest.fixture
def restored(world: World) -> World:
    """The same, set back from two hours later."""
    return set_back(world)
