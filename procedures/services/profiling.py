"""What a procedure type is expected to do, as this clinic sees it."""

from datetime import datetime

from django.db import transaction
from django.db.models import Max

from clinic import audit
from clinic.models import User
from procedures.models import ProcedureType, ReliefProfile


def check_profile(profile: ReliefProfile, *, now: datetime) -> None:
    """Fill in version, origin and begin of a new relief profile, and refuse what it must not say.

    Raises ValidationError by field, among them "source_missing" and "window_order".
    """
    last = profile.procedure_type.relief_profiles.aggregate(last=Max("version"))["last"]
    profile.version = (last or 0) + 1
    profile.origin = ReliefProfile.Origin.CLINIC
    profile.in_force_from = now
    profile.full_clean()


@transaction.atomic
def add_profile(profile: ReliefProfile, *, by: User, now: datetime) -> ReliefProfile:
    """Save a new version of a type's relief profile, in force from `now`; procedures already performed keep theirs.

    Nothing in it is confirmed. Raises as `check_profile` does.
    """
    ProcedureType.objects.select_for_update(no_key=True).get(pk=profile.procedure_type_id)
    check_profile(profile, now=now)
    profile.save(force_insert=True)
    audit.record("relief_profile.added", profile, by=by, at=now)
    return profile
