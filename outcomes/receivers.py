"""Every reaction of outcomes to what happens in the apps below, in one place."""

from datetime import datetime
from typing import Any

from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from clinic.models import Site, User
from clinic.signals import address_bounced
from outcomes import services
from outcomes.models import FollowUp
from patients.models import Caregiver, Patient
from patients.services import Obstacle
from patients.signals import links_void, merging, patient_merged, reader_changed
from procedures.models import ImplantedDevice, Procedure, ReliefProfile
from procedures.signals import (
    baseline_corrected,
    device_changed,
    procedure_corrected,
    procedure_performed,
    procedure_voided,
    profile_added,
)

#: After these only what the patient was sent is void; who answers in their place goes on.
PATIENTS_OWN = ("address_changed", "consent_withdrawn", "opted_out")
#: Rows that came to a patient in a merge: their numbers by model, "outcomes.followup".
Moved = dict[str, list[int]]


@receiver(address_bounced)
def call_whose_question_came_back(address: str, now: datetime, **_: Any) -> None:
    services.call_bounced(address, now=now)


@receiver(links_void)
def void_links(patient: Patient, cause: str, moved: Moved | None, now: datetime, **_: Any) -> None:
    if moved is None:
        follow_ups = list(FollowUp.objects.filter(patient=patient).values_list("pk", flat=True))
    else:
        follow_ups = moved.get("outcomes.followup", [])
    own = cause in PATIENTS_OWN
    services.void_links(follow_ups, patients_only=own, now=now)
    asked_already = own and Caregiver.objects.asked_for([patient])
    if cause in ("address_changed", "merged", "alive") and not asked_already:
        services.ask_at_new_address(patient, follow_ups, now=now)
    if cause == "alive":
        services.rejudge_after_death_taken_back(patient.pk, now=now)


@receiver(reader_changed)
def ask_new_reader(patient: Patient, now: datetime, **_: Any) -> None:
    services.ask_new_reader(patient, now=now)


@receiver(procedure_performed)
def open_follow_up(procedure: Procedure, now: datetime, **_: Any) -> None:
    services.open_follow_up(procedure, now=now)


@receiver(procedure_voided)
def void_follow_up(procedure: Procedure, now: datetime, **_: Any) -> None:
    services.void_follow_up(procedure, now=now)


@receiver(procedure_corrected)
def replan_follow_up(procedure: Procedure, reason: str, now: datetime, **_: Any) -> None:
    services.follow_performer(procedure, now=now)  # before it is counted anew
    services.replan_procedure(procedure, reason=reason, now=now)


@receiver(profile_added)
def take_new_plan(profile: ReliefProfile, **_: Any) -> None:
    services.take_new_plan(profile)


@receiver(device_changed)
def look_after_device(device: ImplantedDevice, by: User | None, now: datetime, **_: Any) -> None:
    services.look_after_devices(device.procedure, by=by, now=now)


@receiver(baseline_corrected)
def judge_by_baseline(procedure: Procedure, now: datetime, **_: Any) -> None:
    services.judge_by_baseline(procedure, now=now)


@receiver(merging)
def name_obstacles(duplicate: Patient, kept: Patient, **_: Any) -> list[Obstacle]:
    return services.obstacles_to_merging(duplicate, kept)


@receiver(patient_merged)
def join_courses(moved: Moved, now: datetime, **_: Any) -> None:
    services.join_courses(moved.get("outcomes.followup", []), now=now)


def clock_of(site: Site) -> tuple[Any, ...] | None:
    """What the plans of a site's follow-ups stand on, as it is stored; None of a new site."""
    return Site.objects.filter(pk=site.pk).values_list("time_zone", "check_in_at").first()


@receiver(pre_save, sender=Site)
def remember_clock(instance: Site, **_: Any) -> None:
    instance.clock_before = clock_of(instance)  # type: ignore[attr-defined]


@receiver(post_save, sender=Site)
def replan_site(instance: Site, created: bool, **_: Any) -> None:
    """Through whichever door a site's zone or hour changes, what is still to be asked moves with it."""
    if not created and instance.clock_before != clock_of(instance):  # type: ignore[attr-defined]
        services.replan_site(instance, reason="The site's clock or its hour for check-ins has changed.")
