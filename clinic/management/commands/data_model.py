from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models

APPS = ("clinic", "patients", "procedures", "outcomes")
INTRODUCTION = """# Data model

Every table and what it refers to, made from the models by `python3 manage.py data_model > docs/data-model.md`. A line
leads from a row to the row that it names, by the field beside it. Not drawn: history (a table `…event` for each
clinical one), Django's own tables, and references to the member of staff who did something.
"""
#: How a field is drawn: one row of many, at most one of many, one of one.
REQUIRED, OPTIONAL, ONE_TO_ONE, MANY_TO_MANY = "}o--||", "}o--o|", "|o--||", "}o--o{"


def page() -> str:
    """The page docs/data-model.md: a diagram for each app, in Mermaid's words, and a table of its models."""
    parts = [INTRODUCTION]
    for app in APPS:
        known = [model for model in apps.get_app_config(app).get_models() if is_drawn(model)]
        lines = [line for model in known for line in arrows(model)]
        lines += [
            f"  {model.__name__}"
            for model in known
            if not any(model.__name__ in line.split() for line in lines)
        ]
        rows = [f"| `{model.__name__}` | {meaning(model)} |" for model in known]
        parts.append(f"## {app}\n\n```mermaid\nerDiagram\n" + "\n".join(lines) + "\n```\n")
        parts.append("| table | is |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def is_drawn(model: type[models.Model]) -> bool:
    """Whether it is a table of its own, and no history of another."""
    return not model._meta.proxy and all(field.name != "pgh_id" for field in model._meta.fields)


def arrows(model: type[models.Model]) -> Iterator[str]:
    """A line for each reference of a model to another of this project."""
    for field in [*model._meta.fields, *model._meta.many_to_many]:
        target: Any = field.related_model
        if target is None or target._meta.app_label not in APPS or target.__name__ == "User":
            continue
        kind = OPTIONAL if field.null else REQUIRED
        if field.one_to_one:
            kind = ONE_TO_ONE
        elif field.many_to_many:
            kind = MANY_TO_MANY
        yield f"  {model.__name__} {kind} {target.__name__} : {field.name}"


def meaning(model: type[models.Model]) -> str:
    """The first sentence of the model's docstring."""
    text = " ".join((model.__doc__ or "").split())
    return text.split(". ")[0].rstrip(".").replace("|", "\\|")


class Command(BaseCommand):
    help = "Writes the page that shows the tables and what they refer to."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(page(), ending="")
