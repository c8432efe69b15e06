"""What is filled in to hand an alert over, to snooze it and to resolve it."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from clinic.admin.datetime_widgets import WallClockField, to_instant
from outcomes import services
from outcomes.models import Alert
from outcomes.services.alert_actions import REASONS


class AlertForm(forms.Form):
    """One step of an alert."""

    names: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, alert: Alert, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alert = alert


class HandOverForm(AlertForm):
    """To whom: those who may handle alerts at the site."""

    to = forms.TypedChoiceField(label=_("New owner"), coerce=int, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        able = services.handlers(self.alert.site)
        self.fields["to"].choices = [("", "---------"), *((user.pk, str(user)) for user in able)]  # type: ignore[attr-defined]


class SnoozeForm(AlertForm):
    """Until when, on the wall clock of the site: the next morning at nine, unless told."""

    until = WallClockField(label=_("Until"))

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        morning = now.astimezone(self.alert.site.zone) + timedelta(days=1)
        self.initial["until"] = morning.replace(hour=9, minute=0, second=0, microsecond=0, tzinfo=None)

    def clean_until(self) -> datetime:
        return to_instant(self.cleaned_data["until"], self.alert.site.zone)


class ResolveForm(AlertForm):
    """How it ended."""

    resolution = forms.ChoiceField(
        label=_("How it ended"),
        choices=[(reason.value, reason.label) for reason in REASONS],
        required=False,  # the service refuses an empty one, with its own words
        widget=forms.RadioSelect({"class": "desk-scale"}),
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)
