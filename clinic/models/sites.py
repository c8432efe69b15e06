"""Where patients are treated, and what each place chose. Times of day are on the site's wall clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.models.base import keep_history
from clinic.validators import emergency_phone, mailbox_name, person_name, phone, picture_kind, small_picture

if TYPE_CHECKING:
    from clinic.models.staff import User

#: The kinds of alert that a site can do without. What they mean is said in outcomes.alert_rules. That of a red flag is
#: not among them: it cannot be switched off.
OPTIONAL_ALERTS = [
    ("lost_early", _("losing relief early")),
    ("lost_effect", _("loss of effect")),
    ("pain_back", _("says that the pain is back")),
    ("no_relief", _("no relief")),
    ("worse", _("worse than before the procedure")),
    ("silent", _("silent")),
    ("device_due", _("device is due")),
]


def validate_time_zone(value: str) -> None:
    """Refuse, code "time_zone", a name that the IANA time zone database does not know."""
    if value not in available_timezones():
        raise ValidationError(_("“%(value)s” is no time zone."), code="time_zone", params={"value": value})


class SiteQuerySet(models.QuerySet["Site"]):
    def visible_to(self, user: User) -> Self:
        """The sites that `user` works at; all of them for an administrator; none for anybody else."""
        return self if user.sees_all_sites else self.filter(pk__in=user.site_ids)


@keep_history
class Site(models.Model):
    """A place where patients are treated, with one wall clock."""

    name = models.CharField(_("name"), max_length=100, unique=True, validators=[person_name])
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        validators=[validate_time_zone],
        help_text="For example America/New_York.",
    )
    phone = models.CharField(
        _("phone"), max_length=40, validators=[phone], help_text=_("Shown to patients on every page.")
    )
    emergency_phone = models.CharField(
        _("emergency phone"), max_length=40, default="911", validators=[emergency_phone]
    )
    check_in_at = models.TimeField(
        _("check-ins go out at"), default="10:00", help_text=_("On the site's wall clock.")
    )
    record_number_scheme = models.CharField(
        _("record numbers"),
        max_length=12,
        default="P00000",
        db_default="P00000",
        validators=[
            RegexValidator(r"^[A-Za-z-]*0{3,10}\Z", _("Letters, then three to ten noughts."), "scheme")
        ],
        help_text=_("How a new patient’s number is made: what stands in place of the noughts counts up."),
    )
    address = models.CharField(_("address"), max_length=200, blank=True)
    grid_minutes = models.PositiveSmallIntegerField(
        _("appointments begin every, minutes"), choices=[(5, "5"), (10, "10"), (15, "15")], default=15
    )
    quiet_from = models.TimeField(
        _("no e-mails from"),
        default="20:00",
        help_text=_("On the site's wall clock, until the next morning."),
    )
    quiet_until = models.TimeField(_("no e-mails until"), default="08:00")
    emails_a_week = models.PositiveSmallIntegerField(
        _("questions a week"),
        default=4,
        help_text=_("At most so many e-mails with questions go to a patient in seven days; later ones wait."),
    )
    emails_paused = models.BooleanField(
        _("stop all questions"),
        default=False,
        help_text=_("Nothing is asked by e-mail as long as this is on."),
    )
    sender_name = models.CharField(
        _("sender of e-mails"),
        max_length=60,
        blank=True,
        default="",
        db_default="",
        validators=[mailbox_name],
        help_text=_(
            "What a mailbox shows beside the subject, on a locked phone too: choose words that tell nothing of health, "
            "“Riverside”, not “Riverside Pain Clinic”. Empty: the name in DEFAULT_FROM_EMAIL."
        ),
    )
    reply_to = models.EmailField(
        _("answers to e-mails go to"),
        blank=True,
        default="",
        db_default="",
        help_text=_("An address that somebody reads on working days. Empty: e-mails ask not to be answered."),
    )
    greets_by_first_name = models.BooleanField(
        _("first name in e-mails"), default=False, help_text=_("E-mail is not secure. Off: no name at all.")
    )
    asks_birth_date = models.BooleanField(
        _("ask for the birth date"),
        default=False,
        help_text=_("Before a patient's page shows its questions."),
    )
    alert_email = models.EmailField(
        _("alerts are announced to"),
        blank=True,
        help_text=_(
            "An e-mail without health words says that there is an alert. Empty: nobody is told by e-mail."
        ),
    )
    emergency_alert_minutes = models.PositiveSmallIntegerField(
        _("look at an emergency within, minutes"), default=15, help_text=_("A choice; unconfirmed.")
    )
    same_day_alert_minutes = models.PositiveSmallIntegerField(
        _("look at a same-day alert within, minutes"), default=240, help_text=_("A choice; unconfirmed.")
    )
    routine_alert_days = models.PositiveSmallIntegerField(
        _("look at a routine alert within, days"), default=3, help_text=_("A choice; unconfirmed.")
    )
    alert_kinds_off = ArrayField(
        models.SlugField(choices=OPTIONAL_ALERTS),
        verbose_name=_("alerts that this site does not want"),
        default=list,
        blank=True,
        help_text=_("None of these is raised. Red flags always are."),
    )
    smallest_cell = models.PositiveSmallIntegerField(
        _("smallest group in reports"),
        default=5,
        help_text=_(
            "Reports hide a rate that comes from fewer follow-ups than this. At least 1. A choice; unconfirmed."
        ),
    )

    objects = SiteQuerySet.as_manager()

    class Meta:
        verbose_name = _("site")
        verbose_name_plural = _("sites")
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(name="site_has_time_zone", condition=~Q(time_zone="")),
            models.CheckConstraint(name="site_has_phone", condition=~Q(phone="")),
            models.CheckConstraint(name="site_grid", condition=Q(grid_minutes__in=[5, 10, 15])),
            models.CheckConstraint(
                name="site_wants_red_flags",
                condition=~Q(alert_kinds_off__contains=["red_flag"]),
                violation_error_message=_("The alerts of red flags cannot be switched off."),
            ),
            models.CheckConstraint(
                name="site_smallest_cell",
                condition=Q(smallest_cell__gte=1),
                violation_error_code="too_small",
                violation_error_message=_("The smallest group in reports has at least one follow-up."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the clock on the wall."""
        return ZoneInfo(self.time_zone)


@keep_history
class SiteLogo(models.Model):
    """The picture at the head of a site's e-mails. A row of its own, because a site is read with nearly everything."""

    site = models.OneToOneField(Site, models.CASCADE, verbose_name=_("site"), related_name="logo")
    image = models.BinaryField(_("image"), validators=[small_picture])

    class Meta:
        verbose_name = _("logo")
        verbose_name_plural = _("logos")

    def __str__(self) -> str:
        return str(self.site)

    @property
    def kind(self) -> str:
        """Which of the three that mail programs show it is: "png", "jpeg" or "gif"."""
        return picture_kind(bytes(self.image))
