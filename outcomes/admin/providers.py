"""Whose patients: what narrows lists to the procedures of one provider."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.models import User
from outcomes.reports import Selection
from procedures.models import Procedure

#: Stands for who asks, in an address.
ME = "me"


def providers(user: User) -> QuerySet[User]:
    """Who has performed a procedure that `user` may see."""
    performed = Procedure.objects.visible_to(user).filter(performer=OuterRef("pk"))
    return User.objects.filter(Exists(performed)).order_by("last_name", "first_name", "pk")


def provider_of(said: str, user: User) -> int | None:
    """The number of the provider that an address names, `user` for "me"; None: any.

    Raises Refusal "unknown_performer" for what is nobody's number.
    """
    if said in ("", ME):
        return user.pk if said else None
    number = int(said) if said.isdecimal() and len(said) < 10 else 0
    Selection(performer=number).check(user)
    return number


class ProviderFilter(admin.SimpleListFilter):
    """One's own patients, or those of another provider."""

    title = _("provider")
    parameter_name = "provider"
    #: Where the rows name who performed the procedure.
    path = "procedure__performer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        names = [(str(provider.pk), str(provider)) for provider in providers(staff(request))]
        return [(ME, _("my patients")), *names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            number = provider_of(self.value() or "", staff(request))
        except ValidationError as refusal:
            raise IncorrectLookupParameters from refusal
        return queryset.filter(**{self.path: number}) if number else queryset


class AlertProviders(ProviderFilter):
    """The same of alerts: whose procedure they are about, whoever owns them."""

    path = "follow_up__procedure__performer"
