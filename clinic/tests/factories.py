"""The day on which tests play, staff and resources."""

from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

from django.contrib.auth.models import Group

from clinic.models import Resource, ResourceCategory, Site, User, WorkingHours

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
#: A Monday in winter; nothing before it has happened.
MONDAY = date(2027, 1, 11)


def staff(email: str, role: str, site: Site) -> User:
    """A member of staff with one role at one site; password "correct horse"."""
    user = User.objects.create_user(email, "correct horse", is_staff=True, first_name=role, last_name="Test")
    user.groups.add(Group.objects.get(name=role))
    user.sites.add(site)
    return user


def resource(name: str, category: ResourceCategory, site: Site, user: User | None = None) -> Resource:
    """A resource that works every weekday from eight to five."""
    made = Resource.objects.create(name=name, site=site, user=user)
    made.categories.add(category)
    WorkingHours.objects.bulk_create(
        WorkingHours(resource=made, site=site, weekday=day, opens=time(8), closes=time(17))
        for day in range(5)
    )
    return made
