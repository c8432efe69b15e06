"""Numbers that a page dials."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from clinic.templatetags.phones import tel


@pytest.mark.parametrize(
    ("written", "dialed"),
    [
        ("+1 212 555 0100", "tel:+12125550100"),
        ("(212) 555-0100", "tel:2125550100"),
        ("212.555.0100", "tel:2125550100"),
        (" +34 91 1234567 ", "tel:+34911234567"),
        ("911", "tel:911"),
        ("+1 212 555 0100 ext. 12", "tel:+12125550100;ext=12"),
        ("212 555 0100 x 12", "tel:2125550100;ext=12"),
    ],
)
def test_a_link_dials_digits(written: str, dialed: str) -> None:
    assert tel(written) == dialed


def test_no_page_writes_such_a_link_by_itself() -> None:
    for app in ("clinic", "patients", "procedures", "outcomes"):
        for page in (Path(settings.BASE_DIR) / app / "templates").rglob("*.html"):
            assert not re.search(r"[\"']tel:(?!911\b)", page.read_text()), page
