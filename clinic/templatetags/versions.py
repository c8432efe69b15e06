"""For templates: what a button beside a row carries, so that it does nothing with a row that has changed."""

from django import template
from django.db import models

from clinic.row_versions import beside

register = template.Library()


@register.filter
def as_shown(row: models.Model) -> str:
    """What follows the address of a button beside `row`, whose address has no query of its own."""
    return f"?{beside(row)}"
