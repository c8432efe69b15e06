"""Sites, staff, resources and their hours; the audit trail; the outbox.

Instants (`*_at`) are aware and in UTC; dates (`*_on`) and times of day are on the wall clock of the row's site.
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import pghistory
import pgtrigger
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

#: The kinds of alert that a site can do without. What they mean is said in outcomes.alerts. That of a red flag is not
#: among them: it cannot be switched off.
OPTIONAL_ALERTS = [
    ("lost_early", _("losing relief early")),
    ("no_relief", _("no relief")),
    ("worse", _("worse than before the procedure")),
    ("silent", _("silent")),
    ("device_due", _("device is due")),
]

#: The half-open span [starts_at, ends_at) of a row, as PostgreSQL sees it: back-to-back is legal.
DURING = Func(
    F("starts_at"), F("ends_at"), RangeBoundary(), function="TSTZRANGE", output_field=DateTimeRangeField()
)

M = TypeVar("M", bound=type[models.Model])


def keep_history(model: M) -> M:
    """Have the database keep every insert, update and delete of the model's rows, whoever makes it and however."""
    tracked: M = pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())(
        model
    )
    return tracked


def validate_time_zone(value: str) -> None:
    """Refuse, code "time_zone", a name that the IANA time zone database does not know."""
    if value not in available_timezones():
        raise ValidationError(_("“%(value)s” is no time zone."), code="time_zone", params={"value": value})


class SiteQuerySet(models.QuerySet["Site"]):
    def visible_to(self, user: User) -> Self:
        """The sites that `user` works at; all of them for an administrator; none for anybody else."""
        return self if user.sees_all_sites else self.filter(staff=user.pk)


@keep_history
class Site(models.Model):
    """A place where patients are treated, with one wall clock."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        validators=[validate_time_zone],
        help_text="For example America/New_York.",
    )
    phone = models.CharField(_("phone"), max_length=40, help_text=_("Shown to patients on every page."))
    emergency_phone = models.CharField(_("emergency phone"), max_length=40, default="911")
    check_in_at = models.TimeField(
        _("check-ins go out at"), default="10:00", help_text=_("On the site's wall clock.")
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


class UserManager(BaseUserManager["User"]):
    """Makes users who sign in by e-mail. The address is kept in lower case: one person, one account."""

    use_in_migrations = True

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True} | fields)


class User(AbstractUser):
    """A member of staff. Patients have no account. What a user may do: groups (clinic.roles); where: sites."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(_("e-mail"), unique=True)
    sites: models.ManyToManyField[Site, Any] = models.ManyToManyField(
        Site, verbose_name=_("works at"), related_name="staff", blank=True
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[misc,assignment]

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("staff")
        ordering = ("last_name", "first_name")
        constraints = [
            models.CheckConstraint(name="user_email_lower_case", condition=Q(email=Lower("email")))
        ]

    def __str__(self) -> str:
        return self.get_full_name() or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()

    @property
    def sees_all_sites(self) -> bool:
        """Whether site limits do not apply: administrators only."""
        return self.is_active and self.is_superuser


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
        sites = user.sites.values("pk")
        return self.filter(
            Q(site__in=sites) | Q(pk__in=WorkingHours.objects.filter(site__in=sites).values("resource"))
        )


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


NEVER_EMPTIED = pgtrigger.Trigger(
    name="never_emptied",
    level=pgtrigger.Statement,
    when=pgtrigger.Before,
    operation=pgtrigger.Truncate,
    func="RAISE EXCEPTION 'the audit trail is never emptied';",
)


class AuditSeal(models.Model):
    """A link of the chain that proves the audit trail whole: the hash over one batch of events and the link before."""

    at = models.DateTimeField()
    events = models.PositiveIntegerField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name = _("audit seal")
        verbose_name_plural = _("audit seals")
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            NEVER_EMPTIED,
        ]

    def __str__(self) -> str:
        return self.hash[:12]


class AuditEvent(models.Model):
    """One action, read, export, sign-in or refusal: who, what, when, why. Never changed, never deleted.

    Holds ids and codes, no names and no scores. `by` is None for what time or a patient did (`actor` then says
    which). The database lets an event be sealed once (`seal` from None to a seal) and refuses every other change.
    """

    at = models.DateTimeField(_("at"), help_text=_("What the clock of the actor's edge showed."))
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now())
    by = models.ForeignKey(User, models.PROTECT, verbose_name=_("by"), null=True, related_name="+")
    actor = models.CharField(_("actor"), max_length=20, help_text=_("staff, patient, time, import or mail"))
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("object"), max_length=60)
    object_id = models.BigIntegerField(_("number"), null=True)
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    seal = models.ForeignKey(
        AuditSeal, models.PROTECT, verbose_name=_("seal"), null=True, related_name="sealed"
    )

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ("-id",)
        indexes = [
            models.Index(name="audit_of_object", fields=["object_type", "object_id"]),
            models.Index(name="audit_unsealed", fields=["id"], condition=Q(seal=None)),
            models.Index(name="audit_by_time", fields=["at"]),
        ]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            NEVER_EMPTIED,
            pgtrigger.Protect(
                name="only_sealed_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.seal_id IS NOT NULL OR NEW.seal_id IS NULL"
                    " OR (to_jsonb(OLD.*) - 'seal_id') IS DISTINCT FROM (to_jsonb(NEW.*) - 'seal_id')"
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id or ''}".strip()


def message_id() -> str:
    """A Message-ID's unguessable left part; kept with the row, so that a second attempt carries the same."""
    return secrets.token_hex(16)


class OutgoingEmail(models.Model):
    """The outbox: one row, one e-mail, once. Its status is the retry.

    `key` names the reason it is sent ("check-in 17 invitation"): the same reason never makes two. What it says is
    rendered when it is sent, from `template` (a dotted path to a function) and `context` (ids only), so a row holds
    nothing about anybody's health.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        SENT = "sent", _("sent")
        SKIPPED = "skipped", _("skipped")
        FAILED = "failed", _("failed")

    key = models.CharField(_("key"), max_length=120, unique=True)
    template = models.CharField(_("template"), max_length=120)
    context = models.JSONField(_("context"), default=dict)
    to = models.EmailField(_("to"))
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created"))
    not_before = models.DateTimeField(_("not before"))
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    sent_at = models.DateTimeField(_("sent"), null=True)
    message_id = models.CharField(max_length=32, default=message_id, editable=False)
    provider_id = models.CharField(
        max_length=200, blank=True, editable=False, help_text="What a mail service calls it; empty for SMTP."
    )
    problem = models.CharField(
        _("problem"), max_length=100, blank=True, help_text=_("Why it was skipped, or what went wrong last.")
    )

    class Meta:
        verbose_name = _("outgoing e-mail")
        verbose_name_plural = _("outgoing e-mails")
        ordering = ("-id",)
        indexes = [
            models.Index(
                name="outbox_due", fields=["not_before", "id"], condition=Q(status__in=["queued", "sending"])
            ),
            models.Index(
                name="outbox_unsent", fields=["created_at"], condition=Q(status__in=["failed", "skipped"])
            ),
            models.Index(name="outbox_by_message", fields=["message_id"]),
            models.Index(name="outbox_by_provider_id", fields=["provider_id"], condition=~Q(provider_id="")),
        ]
        constraints = [
            models.CheckConstraint(
                name="sent_email_has_its_time", condition=~Q(status="sent") | Q(sent_at__isnull=False)
            ),
            models.CheckConstraint(
                name="sending_email_is_claimed", condition=~Q(status="sending") | Q(claimed_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key


class DeliveryReport(models.Model):
    """What was said about an e-mail after, or instead of, taking it: the first report of each kind.

    `at` is when the service heard of it. `reason` is anymail's code ("bounced", "invalid", "spam" …) or an SMTP
    reply's number; "" where none was given. What a mail server wrote is kept nowhere: it may quote the address.
    """

    class Kind(models.TextChoices):
        DELIVERED = "delivered", _("delivered")
        DELAYED = "delayed", _("not delivered yet")
        BOUNCED = "bounced", _("came back: the address does not exist")
        REFUSED = "refused", _("came back for another reason")
        COMPLAINED = "complained", _("marked as spam")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed at the mail service")

    email = models.ForeignKey(OutgoingEmail, models.CASCADE, verbose_name=_("e-mail"), related_name="reports")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("delivery report")
        verbose_name_plural = _("delivery reports")
        ordering = ("id",)
        constraints = [models.UniqueConstraint(name="report_once_a_kind", fields=["email", "kind"])]

    def __str__(self) -> str:
        return self.kind


class OutgoingText(models.Model):
    """The outbox of text messages: one row, one text, once. Its status is the retry.

    What it says, and the number, are found when it is sent. `key` names the reason it is sent ("check-in 17 text"): the
    same reason never makes two.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        SENT = "sent", _("sent")
        SKIPPED = "skipped", _("skipped")
        FAILED = "failed", _("failed")

    key = models.CharField(_("key"), max_length=120, unique=True)
    template = models.CharField(_("template"), max_length=120)
    context = models.JSONField(_("context"), default=dict)
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created"))
    not_before = models.DateTimeField(_("not before"), null=True)  # None: at once
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    sent_at = models.DateTimeField(_("sent"), null=True)
    provider_id = models.CharField(max_length=200, blank=True, editable=False)
    problem = models.CharField(_("problem"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("outgoing text message")
        verbose_name_plural = _("outgoing text messages")
        ordering = ("-id",)
        indexes = [
            models.Index(name="texts_due", fields=["id"], condition=Q(status__in=["queued", "sending"]))
        ]
        constraints = [
            models.CheckConstraint(
                name="sent_text_has_its_time", condition=~Q(status="sent") | Q(sent_at__isnull=False)
            ),
            models.CheckConstraint(
                name="sending_text_is_claimed", condition=~Q(status="sending") | Q(claimed_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key
