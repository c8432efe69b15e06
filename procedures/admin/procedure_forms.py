"""What is filled in about a procedure: what the patient said before it, what was done, and what is corrected of it."""

from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from clinic.admin.base import now_at
from clinic.admin.datetime_widgets import WallClockField, site_time_text
from clinic.models import User
from patients.models import AnsweredBy
from procedures import services
from procedures.admin.appointment_forms import NOT_ASKED, StepForm, WhyForm, to_instant_of
from procedures.admin.descriptions import age
from procedures.baselines import PAIN, Source, days_before
from procedures.models import Appointment, Laterality, Procedure


def scores(first: tuple[str, Any]) -> list[tuple[str, Any]]:
    """The choices of a score from 0 to 10, and what stands for none."""
    return [first, *((str(score), str(score)) for score in range(11))]


def peg_field(label: Any) -> forms.TypedChoiceField:
    """A score of the PEG, which may be left out."""
    return forms.TypedChoiceField(
        label=label,
        required=False,
        coerce=int,
        empty_value=None,
        choices=scores(("", "–")),
        widget=UnfoldAdminSelectWidget,
    )


class PegFields(forms.Form):
    """The PEG from before the procedure, 0–10 each; all of it may be left out."""

    peg_names: ClassVar[dict[str, str]] = {
        "peg.pain": "peg_pain",
        "peg.enjoyment": "peg_enjoyment",
        "peg.activity": "peg_activity",
    }
    peg_pain = peg_field(_("PEG before: pain on average in the past week"))
    peg_enjoyment = peg_field(_("PEG before: interfered with enjoyment of life"))
    peg_activity = peg_field(_("PEG before: interfered with general activity"))

    def peg(self) -> dict[str, int]:
        """What was said, by "instrument.item"; without what was left out."""
        said = {key: self.cleaned_data.get(name) for key, name in self.peg_names.items()}
        return {key: value for key, value in said.items() if value is not None}


class BaselineForm(PegFields, StepForm):
    """What the patient says before the procedure."""

    names: ClassVar[dict[str, str]] = {PAIN: "pain", "taken_at": "taken", **PegFields.peg_names}
    pain = forms.TypedChoiceField(
        label=_("Pain now, 0–10"),
        required=False,
        coerce=lambda score: None if score == NOT_ASKED else int(score),
        empty_value=None,
        choices=[*scores((NOT_ASKED, _("not asked")))[1:], (NOT_ASKED, _("not asked"))],
        widget=forms.RadioSelect({"class": "desk-scale"}),
        help_text=_(
            "0 is no pain, 10 the worst imaginable. The score of the day counts, else the latest before."
        ),
    )
    taken = WallClockField(label=_("Said at"))
    answered_by = forms.TypedChoiceField(
        label=_("Answered by"),
        choices=AnsweredBy.choices,
        initial=AnsweredBy.PATIENT,
        empty_value=AnsweredBy.PATIENT,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("pain", "taken", "answered_by", "peg_pain", "peg_enjoyment", "peg_activity")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = self.appointment.site
        self.fields["taken"].help_text = _("On the wall clock of %s.") % site
        now = now_at(site).replace(tzinfo=None, second=0, microsecond=0)
        self.initial.setdefault("taken", now)

    def act(self, *, by: User, now: datetime) -> Appointment:
        said = self.cleaned_data
        pain = {} if said["pain"] is None else {PAIN: said["pain"]}
        services.note_baseline(
            self.appointment.pk,
            values={**pain, **self.peg()},
            taken_at=to_instant_of("taken", said["taken"], self.appointment.site.zone),
            answered_by=said["answered_by"],
            by=by,
            now=now,
        )
        return self.appointment


class TabletForm(StepForm):
    """Nothing to fill in: digits are offered, and shown on a page of their own."""

    def act(self, *, by: User, now: datetime) -> Appointment:
        services.offer_tablet(self.appointment.pk, by=by, now=now)
        return self.appointment

    def leads_to(self) -> str:
        page = reverse("admin:procedures_appointment_digits", args=[self.appointment.pk])
        return f"{page}?{self.request.GET.urlencode()}"


class PerformForm(PegFields, StepForm):
    status = forms.ChoiceField(
        label=_("Outcome"),
        choices=[
            (status.value, status.label)
            for status in (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED)
        ],
        widget=UnfoldAdminSelectWidget,
    )
    performed = WallClockField(label=_("Performed"))
    reason = forms.CharField(
        label=_("Reason for this time"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text=_("Only if it does not match the time of the appointment."),
    )
    region = forms.ChoiceField(label=_("Region"), required=False, widget=UnfoldAdminSelectWidget)
    laterality = forms.ChoiceField(label=_("Side"), required=False, widget=UnfoldAdminSelectWidget)
    baseline_pain = forms.TypedChoiceField(
        label=_("Pain before, 0–10"),
        coerce=lambda score: None if score == NOT_ASKED else int(score),
        choices=[*scores((NOT_ASKED, ""))[1:], (NOT_ASKED, _("not asked"))],
        widget=forms.RadioSelect({"class": "desk-scale"}),
        help_text=_(
            "Asked on the day, before the procedure: 0 is no pain, 10 the worst imaginable. "
            "<strong>Without a score from before, relief cannot be computed.</strong>"
        ),
        error_messages={
            "required": _("Choose the score, or say that it was not asked."),
            "invalid_choice": _("A pain score is a whole number from 0 to 10."),
        },
    )
    performer = forms.ModelChoiceField(
        User.objects.none(), label=_("Performed by"), required=False, widget=UnfoldAdminSelectWidget
    )
    levels = forms.CharField(
        label=_("Levels"), max_length=60, required=False, widget=UnfoldAdminTextInputWidget
    )
    agent = forms.CharField(
        label=_("Agent and dose"), max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )
    steroid_given = forms.TypedChoiceField(
        label=_("A steroid was given"),
        required=False,
        coerce=lambda said: said == "yes",
        empty_value=None,
        choices=[("", _("not said")), ("yes", _("Yes")), ("no", _("No"))],
        widget=UnfoldAdminSelectWidget,
        help_text=_("After a test, a yes adds check-ins beyond the diary, as after a treatment."),
    )
    complications = forms.CharField(
        label=_("Complications"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
    )
    names: ClassVar[dict[str, str]] = {"performed_at": "performed", **PegFields.peg_names}
    field_order = (
        *("status", "performed", "reason", "baseline_pain", "performer", "region", "laterality", "levels"),
        *("agent", "steroid_given", "complications", "peg_pain", "peg_enjoyment", "peg_activity"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        appointment = self.appointment
        self.offer_known()
        zone = appointment.site.zone
        start, now = appointment.starts_at.astimezone(zone), now_at(appointment.site)
        performer = cast(forms.ModelChoiceField, self.fields["performer"])  # type: ignore[type-arg]
        able = services.performers(appointment.procedure_type, start.date())
        performer.queryset = able.filter(is_active=True, sites=appointment.site)
        self.offer_place()
        self.fields["performed"].help_text = _("On the wall clock of %s.") % appointment.site
        physician = next(
            (r.resource.user for r in appointment.reservations.all() if r.resource.user_id), None
        )
        for name, value in (
            # Entered at the table, it is now; entered later, it was about when it was booked for.
            (
                "performed",
                (now if start.date() == now.date() and now > start else start).replace(
                    tzinfo=None, second=0, microsecond=0
                ),
            ),
            ("performer", physician),
            ("region", appointment.region),
            ("laterality", appointment.laterality),
            ("levels", appointment.levels),
        ):
            self.initial.setdefault(name, value)

    def offer_place(self) -> None:
        """The regions and sides that the type has, and what is booked even where the type has changed since."""
        appointment, kind = self.appointment, self.appointment.procedure_type
        sides = dict(Laterality.choices)
        for name, known, none in (
            ("region", kind.regions, True),
            ("laterality", kind.laterality_options, kind.laterality != kind.Sided.REQUIRED),
        ):
            booked = getattr(appointment, name)
            values = list(dict.fromkeys([*([""] if none or not booked else []), booked, *known]))
            field = cast(forms.ChoiceField, self.fields[name])
            field.choices = [(value, sides.get(value) or value.replace("_", " ") or "–") for value in values]

    def offer_known(self) -> None:
        """Show the pain that was noted before, and from when; of the day itself, it is chosen already."""
        site = self.appointment.site
        used = services.baselines_of(self.appointment, performed_at=now_at(site)).get(PAIN)
        if used is None:
            return
        field = cast(forms.TypedChoiceField, self.fields["baseline_pain"])
        words = {
            "score": used.value,
            "when": site_time_text(used.taken_at, site),
            "age": age(days_before(used.taken_at, now_at(site), zone=site.zone)),
        }
        if used.source == Source.DAY_OF:
            label = _("%(score)d, as noted %(when)s") % words
            self.initial.setdefault("baseline_pain", NOT_ASKED)
        else:
            label = _("not asked today: take the %(score)d of %(when)s, %(age)s before") % words
        field.choices = [*scores((NOT_ASKED, ""))[1:], (NOT_ASKED, label)]

    def act(self, *, by: User, now: datetime) -> Appointment:
        said = self.cleaned_data
        record = services.Performed(
            performed_at=to_instant_of("performed", said["performed"], self.appointment.site.zone),
            status=said["status"],
            baseline_pain=said["baseline_pain"],
            baselines=self.peg(),
            performer=said["performer"],
            reason=said["reason"],
            region=None if said["region"] == self.appointment.region else said["region"],
            laterality=None if said["laterality"] == self.appointment.laterality else said["laterality"],
            levels=said["levels"],
            agent=said["agent"],
            steroid_given=said["steroid_given"],
            complications=said["complications"],
        )
        services.perform(self.appointment.pk, record, by=by, now=now)
        return self.appointment


class PainForm(WhyForm):
    """What the pain before a procedure really was, and when it was named, on the wall clock of the site."""

    names: ClassVar[dict[str, str]] = {"taken_at": "taken"}
    pain = forms.TypedChoiceField(
        label=_("Pain before, 0–10"),
        coerce=lambda score: None if score == NOT_ASKED else int(score),
        choices=[*scores((NOT_ASKED, ""))[1:], (NOT_ASKED, _("nobody asked"))],
        widget=forms.RadioSelect({"class": "desk-scale"}),
    )
    taken = WallClockField(label=_("Said at"), help_text=_("Before the procedure; it counts for 30 days."))
    field_order = ("pain", "taken", "reason")

    def shown_taken(self) -> datetime:
        """What the form shows for it until somebody changes it."""
        taken: datetime = self.initial["taken"]
        return taken.replace(second=0, microsecond=0)
