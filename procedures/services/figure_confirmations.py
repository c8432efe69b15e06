"""A physician stands by a clinical figure."""

from datetime import datetime

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from procedures.models import FigureConfirmation, ProcedureType, ReliefProfile


@transaction.atomic
def confirm_figure(
    kind: ProcedureType, figure: str, *, profile: ReliefProfile | None, by: User, now: datetime
) -> FigureConfirmation:
    """Confirm one figure of `kind`, in `profile` (None for the durations). A second time changes nothing.

    Raises Refusal "unknown_figure"; "replaced" for a profile that a newer version has replaced.
    """
    if figure not in FigureConfirmation.Figure.values or (figure == "duration") != (profile is None):
        raise Refusal("There is no such figure here.", code="unknown_figure", field="figure")
    if profile and kind.relief_profiles.filter(version__gt=profile.version).exists():
        raise Refusal("A newer version of the relief profile has replaced this one.", code="replaced")
    confirmation, made = FigureConfirmation.objects.get_or_create(
        procedure_type=kind,
        relief_profile=profile,
        figure=figure,
        defaults={"confirmed_by": str(by), "confirmed_on": now.date(), "user": by},
    )
    if made:
        audit.record("figure.confirmed", kind, by=by, at=now, reason=figure)
    return confirmation
