"""What a procedure type is expected to do, as this clinic sees it."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from clinic import audit
from clinic.models import User
from procedures.check_in_plan import Figures, missing, untested
from procedures.models import ProcedureType, ReliefProfile
from procedures.signals import profile_added


def plan_figures(kind: ProcedureType, profile: ReliefProfile) -> Figures:
    """What says where the plan of a type's relief profile must ask."""
    return Figures(
        purpose=kind.purpose,
        restarts=bool(kind.restarts),
        window_from=profile.window_from_days,
        window_until=profile.window_until_days,
        ongoing=profile.ongoing,
        evaluate_after=profile.evaluate_after_days,
        days=profile.check_in_days,
        repeats=profile.check_in_every_days is not None,
    )


def no_hour_window(kind: ProcedureType, profile: ReliefProfile) -> list[ValidationError]:
    """What is wrong with a type's relief profile when it is used for a test: nothing, or "no_hour_window"."""
    why = untested(
        kind.purpose,
        window=(profile.window_from_minutes, profile.window_until_minutes),
        asked=profile.check_in_minutes,
    )
    return [ValidationError(why, code="no_hour_window")] if why else []


def check_purpose(kind: ProcedureType) -> None:
    """Refuse a purpose that the type's relief profile in use is not made for: a test becomes a treatment, or the
    other way round.

    Raises ValidationError by field, with a code of `check_profile`.
    """
    newest = kind.relief_profiles.order_by("-version").first()
    if newest is None:
        return
    broken = [ValidationError(rule.why, code=rule.code) for rule in missing(plan_figures(kind, newest))]
    broken += no_hour_window(kind, newest)
    if broken:
        raise ValidationError({"purpose": broken})


def check_profile(profile: ReliefProfile, *, now: datetime) -> None:
    """Fill in version, origin and begin of a new relief profile, and refuse what it must not say.

    Raises ValidationError by field, among them "source_missing" and "window_order"; of a plan that does not ask where
    the question is (`procedures.check_in_plan`), "cannot_tell_early", "no_check_in_on_start",
    "no_check_in_before_start" and "no_check_in_after_end", on `check_in_days` or `evaluate_after_days`; of a type that
    may be done as a test, "no_hour_window" on `window_until_minutes`.
    """
    last = profile.procedure_type.relief_profiles.aggregate(last=Max("version"))["last"]
    profile.version = (last or 0) + 1
    profile.origin = ReliefProfile.Origin.CLINIC
    profile.in_force_from = now
    profile.full_clean()
    broken: dict[str, list[ValidationError]] = {}
    for rule in missing(plan_figures(profile.procedure_type, profile)):
        broken.setdefault(rule.field, []).append(ValidationError(rule.why, code=rule.code))
    if untestable := no_hour_window(profile.procedure_type, profile):
        broken["window_until_minutes"] = untestable
    if broken:
        raise ValidationError(broken)


@transaction.atomic
def add_profile(profile: ReliefProfile, *, by: User, now: datetime) -> ReliefProfile:
    """Save a new version of a type's relief profile, in force from `now`.

    Procedures already performed keep the figures of theirs; courses that run take over its check-ins. Nothing in it is
    confirmed. Raises as `check_profile` does.
    """
    ProcedureType.objects.select_for_update(no_key=True).get(pk=profile.procedure_type_id)
    check_profile(profile, now=now)
    profile.save(force_insert=True)
    audit.record("relief_profile.added", profile, by=by, at=now)
    profile_added.send(ReliefProfile, profile=profile, now=now)
    return profile
