"""What the pages point to is there."""

import re
from pathlib import Path

import pytest

from clinic.management.commands import data_model

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_path_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    paths = re.findall(r"`((?:clinic|patients|procedures|outcomes|bench|docs|\.ci)/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_tests_that_a_page_names_are_there() -> None:
    text = (ROOT / "docs" / "faults-of-others.md").read_text()
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) > 40
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), (path, name)


def test_every_decision_has_its_parts_and_number() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert [page.name[:4] for page in decisions] == [f"{number + 1:04}" for number in range(len(decisions))]
    for page in decisions:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences"]


def test_the_data_model_is_drawn_from_the_models() -> None:
    assert (ROOT / "docs" / "data-model.md").read_text() == data_model.page(), (
        "manage.py data_model > docs/data-model.md"
    )


def test_every_decision_stands_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
