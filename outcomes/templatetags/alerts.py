"""What patients' pages say of alerts."""

from django import template
from django.utils import timezone

from clinic.models import Site
from outcomes.services.alert_emails import reaches_staff

register = template.Library()


@register.filter
def is_told(site: Site) -> bool:
    """Whether an e-mail about an alert reaches the staff of the site, see `reaches_staff`."""
    return reaches_staff(site, now=timezone.now())
