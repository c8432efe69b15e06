"""What `check --deploy` says of the settings."""

from typing import Any

import pytest

from clinic.checks import sender_and_site_share_a_domain


@pytest.mark.parametrize(
    ("sender", "site", "fine"),
    [
        ("Riverside <clinic@example.org>", "https://clinic.example.org", True),
        ("ask@mail.example.org", "https://www.example.org", True),
        ("clinic@example.com", "https://clinic.example.org", False),
        ("clinic@localhost", "http://localhost:8000", False),
        ("", "https://clinic.example.org", False),
    ],
)
def test_a_sender_of_another_domain_than_the_links_is_warned_about(
    settings: Any, sender: str, site: str, fine: bool
) -> None:
    settings.DEFAULT_FROM_EMAIL, settings.SITE_URL = sender, site
    assert ([found.id for found in sender_and_site_share_a_domain(None)] == []) is fine
