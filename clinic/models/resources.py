"""What can be reserved, and when: categories, resources, their hours, closures.

Instants (`*_at`) are aware and in UTC; dates (`*_on`) and times of day are on the wall clock of the row's site.
"""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models.base import keep_history
from clinic.models.sites import Site
from clinic.models.staff import User


class ResourceCategory(models.Model):
    """A kind of resource that procedures ask for: physician, procedure room, C-arm …"""

    code = models.SlugField(_("code"), unique=True)
    name = models.CharField(_("name"), max_length=100)
    needs_privilege = models.BooleanField(
        _("needs a privilege"),
        default=False,
        help_text=_("Only who holds the privilege for a family of procedures is booked for it."),
    )

    class Meta:
        verbose_name = _("resource category")
        verbose_name_plural = _("resource categories")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ResourceQuerySet(models.QuerySet["Resource"]):
    def visible_to(self, user: User) -> Self:
        """Resources whose home is, or whose hours are, at a site that `user` works at."""
        if user.sees_all_sites:
            return self
        there = WorkingHours.objects.filter(site__in=user.site_ids).values("resource")
        return self.filter(Q(site__in=user.site_ids) | Q(pk__in=there))


@keep_history
class Resource(models.Model):
    """A person, room or machine that can be reserved, by one appointment at a time."""

    name = models.CharField(_("name"), max_length=100)
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("home site"), related_name="resources")
    categories: models.ManyToManyField[ResourceCategory, Any] = models.ManyToManyField(
        ResourceCategory, verbose_name=_("categories"), related_name="resources"
    )
    user = models.OneToOneField(
        User,
        models.PROTECT,
        verbose_name=_("member of staff"),
        null=True,
        blank=True,
        related_name="resource",
    )
    active = models.BooleanField(_("active"), default=True)
    overbooking = models.PositiveSmallIntegerField(
        _("overbooking"),
        default=0,
        help_text=_("How many more appointments may deliberately hold it at the same time."),
    )

    objects = ResourceQuerySet.as_manager()

    class Meta:
        verbose_name = _("resource")
        verbose_name_plural = _("resources")
        ordering = ("name",)
        constraints = [models.UniqueConstraint(name="resource_name_once_a_site", fields=["site", "name"])]

    def __str__(self) -> str:
        return self.name


@keep_history
class WorkingHours(models.Model):
    """One span a week in which a resource can be reserved, on the wall clock of `site`.

    A resource may have several spans a day, and hours at several sites. `valid_until` None means until changed.
    """

    class Weekday(models.IntegerChoices):
        MONDAY = 0, _("Monday")
        TUESDAY = 1, _("Tuesday")
        WEDNESDAY = 2, _("Wednesday")
        THURSDAY = 3, _("Thursday")
        FRIDAY = 4, _("Friday")
        SATURDAY = 5, _("Saturday")
        SUNDAY = 6, _("Sunday")

    resource = models.ForeignKey(
        Resource, models.CASCADE, verbose_name=_("resource"), related_name="working_hours"
    )
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="working_hours")
    weekday = models.PositiveSmallIntegerField(_("weekday"), choices=Weekday.choices)
    opens = models.TimeField(_("from"))
    closes = models.TimeField(_("until"))
    valid_from_on = models.DateField(_("valid from"), null=True, blank=True)
    valid_until_on = models.DateField(_("valid until"), null=True, blank=True, help_text=_("Last day."))

    class Meta:
        verbose_name = _("working hours")
        verbose_name_plural = _("working hours")
        ordering = ("weekday", "opens")
        constraints = [
            models.CheckConstraint(name="working_hours_weekday", condition=Q(weekday__gte=0, weekday__lte=6)),
            models.CheckConstraint(
                name="working_hours_open_before_close",
                condition=Q(closes__gt=F("opens")),
                violation_error_code="ends_before_start",
                violation_error_message=_("Hours must close after they open."),
            ),
            models.CheckConstraint(
                name="working_hours_valid_span",
                condition=Q(valid_from_on=None)
                | Q(valid_until_on=None)
                | Q(valid_until_on__gte=F("valid_from_on")),
                violation_error_code="ends_before_start",
                violation_error_message=_("The last day must not be before the first."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}–{self.closes:%H:%M}"


@keep_history
class Closure(models.Model):
    """A span in which a whole site, or one resource, cannot be reserved. Instants in UTC, half-open."""

    site = models.ForeignKey(
        Site, models.CASCADE, verbose_name=_("site"), null=True, blank=True, related_name="closures"
    )
    resource = models.ForeignKey(
        Resource, models.CASCADE, verbose_name=_("resource"), null=True, blank=True, related_name="closures"
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    reason = models.CharField(_("reason"), max_length=200)
    deputy = models.ForeignKey(
        User,
        models.PROTECT,
        verbose_name=_("deputy"),
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Who gets the alerts about this provider’s patients meanwhile."),
    )
    yearly = models.BooleanField(
        _("every year"), default=False, help_text=_("On the same days of the site's calendar.")
    )
    repeats = models.ForeignKey(
        "self",
        models.CASCADE,
        verbose_name=_("repeats"),
        null=True,
        blank=True,
        editable=False,
        related_name="repetitions",
        help_text=_("The yearly closure of which this is a later year."),
    )
    repeated_until = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="The last year for which a yearly closure was written down. One that was reopened stays open.",
    )

    class Meta:
        verbose_name = _("closure")
        verbose_name_plural = _("closures")
        ordering = ("-starts_at",)
        permissions = [("close_others", "Can close sites and other people's time")]
        constraints = [
            models.CheckConstraint(
                name="closure_of_one_thing",
                condition=Q(site=None) ^ Q(resource=None),
                violation_error_message=_("Name either a site or a resource."),
                violation_error_code="site_or_resource",
            ),
            models.CheckConstraint(
                name="closure_deputy_of_a_resource",
                condition=Q(deputy=None) | Q(resource__isnull=False),
                violation_error_message=_("Only a person’s time off has a deputy."),
                violation_error_code="deputy_of_a_site",
            ),
            models.UniqueConstraint(name="closure_once_a_year", fields=["repeats", "starts_at"]),
            models.CheckConstraint(
                name="closure_repetition_does_not_repeat",
                condition=Q(yearly=False) | Q(repeats=None),
            ),
            models.CheckConstraint(
                name="closure_ends_after_start",
                condition=Q(ends_at__gt=F("starts_at")),
                violation_error_message=_("A closure must end after it starts."),
                violation_error_code="ends_before_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site or self.resource}: {self.reason}"

    @property
    def place(self) -> Site:
        """The site on whose wall clock it is shown: that of the resource when it is not of a whole site."""
        return self.site or self.resource.site  # type: ignore[union-attr]  # one of the two, by constraint
