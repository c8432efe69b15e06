"""Who works at the sites."""

from __future__ import annotations

from typing import Any, ClassVar

import pghistory
import pgtrigger
from django.contrib.auth.models import AbstractUser, BaseUserManager, Group, Permission
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from clinic.models.sites import Site
from clinic.validators import person_name


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

    def able(self, permission: str, *sites: Site) -> models.QuerySet[User]:
        """Active members of staff who hold `permission` ("outcomes.handle_alert") and work at one of the sites;
        superusers anyhow."""
        app, codename = permission.split(".")
        held = Permission.objects.filter(content_type__app_label=app, codename=codename).values("pk")
        holds = Q(groups__permissions__in=held) | Q(user_permissions__in=held)
        here = self.filter(holds, sites__in=sites)
        return self.filter(Q(is_superuser=True) | Q(pk__in=here.values("pk")), is_active=True)


@pghistory.track(
    pghistory.InsertEvent(),
    pghistory.UpdateEvent(),
    pghistory.UpdateEvent("password_changed", condition=pgtrigger.AnyChange("password")),
    pghistory.DeleteEvent(),
    exclude=["password", "last_login"],
)
class User(AbstractUser):
    """A member of staff. Patients have no account. What a user may do: groups (clinic.roles); where: sites.

    The database keeps every change, also of groups, permissions and sites; of a password only that it was changed. No
    API token outlives the password with which it was got; sessions end by themselves, for they hold a mark of it.
    """

    username = None  # type: ignore[assignment]  # so Django's documentation takes a field away
    email = models.EmailField(_("e-mail"), unique=True)
    sites: models.ManyToManyField[Site, Any] = models.ManyToManyField(
        Site, verbose_name=_("works at"), related_name="staff", blank=True
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[misc,assignment]  # its own, that knows no user names

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("staff")
        ordering = ("last_name", "first_name")
        constraints = [
            models.CheckConstraint(name="user_email_lower_case", condition=Q(email=Lower("email")))
        ]
        triggers = [
            pgtrigger.Trigger(
                name="tokens_end_with_password",
                when=pgtrigger.After,
                operation=pgtrigger.UpdateOf("password"),  # type: ignore[no-untyped-call]
                condition=pgtrigger.Condition("OLD.password IS DISTINCT FROM NEW.password"),
                func="DELETE FROM knox_authtoken WHERE user_id = NEW.id; RETURN NULL;",
            )
        ]

    def __str__(self) -> str:
        return self.get_full_name() or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()
        for name in ("first_name", "last_name"):
            try:
                if value := getattr(self, name):
                    person_name(value)
            except ValidationError as refusal:
                raise ValidationError({name: refusal}) from None

    @cached_property
    def permission_names(self) -> frozenset[str]:
        """What roles allow, and what was given to this user alone: "procedures.book_appointment". One query."""
        of_roles = Group.permissions.through.objects.filter(group__user=self).values("permission")
        own = User.user_permissions.through.objects.filter(user=self).values("permission")
        held = Permission.objects.filter(Q(pk__in=of_roles) | Q(pk__in=own)).order_by()
        names = held.values_list("content_type__app_label", "codename")
        return frozenset(f"{app}.{codename}" for app, codename in names)

    @cached_property
    def site_ids(self) -> frozenset[int]:
        """The numbers of the sites that this user works at, read once: a request asks for them again and again."""
        return frozenset(User.sites.through.objects.filter(user=self).values_list("site", flat=True))

    @property
    def sees_all_sites(self) -> bool:
        """Whether site limits do not apply: administrators only."""
        return self.is_active and self.is_superuser


def keep_members(relation: str, name: str) -> type[models.Model]:
    """Have the database keep who was put into `relation` of a user and who was taken out, whoever does it."""
    through = User._meta.get_field(relation).remote_field.through  # type: ignore[union-attr]
    meta = type("Meta", (), {"proxy": True, "app_label": "clinic", "default_permissions": ()})
    proxy = type(name, (through,), {"__module__": __name__, "Meta": meta})
    pghistory.track(pghistory.InsertEvent(), pghistory.DeleteEvent(), obj_field=None)(proxy)
    kept: type[models.Model] = proxy.pgh_event_model  # type: ignore[attr-defined]  # set by pghistory
    return kept


#: The history of each relation that says what an account may do, or where.
MEMBERSHIPS = {
    "groups": keep_members("groups", "UserGroup"),
    "user_permissions": keep_members("user_permissions", "UserPermission"),
    "sites": keep_members("sites", "UserSite"),
}
