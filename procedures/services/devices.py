"""Devices that procedures put into patients: recording them, what they need next, and taking them out.

Serial numbers and reasons are kept in the rows; the audit trail only names the action.
"""

from datetime import date, datetime

from django.db import IntegrityError, transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from procedures.models import ImplantedDevice, Intent, Procedure
from procedures.signals import device_changed

Kind = ImplantedDevice.Kind

#: The family of a procedure type → the kind of device that its procedures implant; any kind where it is not named.
KIND_OF_FAMILY = {
    "spinal_cord_stimulation": Kind.SPINAL_CORD_STIMULATOR,
    "peripheral_nerve_stimulation": Kind.PERIPHERAL_NERVE_STIMULATOR,
    "intrathecal_drug_delivery": Kind.INTRATHECAL_PUMP,
}
#: What leaves a device in the patient. The lead of a trial comes out after days: it is none.
LEAVES_A_DEVICE = (Intent.IMPLANT, Intent.MAINTENANCE)


def takes_a_device(procedure: Procedure) -> bool:
    """Whether a device can have been implanted in the procedure."""
    return procedure.status in Procedure.FOLLOWED and procedure.intent in LEAVES_A_DEVICE


def check_device(device: ImplantedDevice, *, now: datetime) -> None:
    """Refuse what a device's row must not say. Wants `procedure__site` and `procedure__procedure_type` selected.

    Raises ValidationError by field, with "recorded_already" for a serial number that stands already; Refusal
    "not_allowed_now" for a procedure that implants nothing, "wrong_kind", "not_a_pump", "in_the_future",
    "before_procedure", "due_before_implant".
    """
    procedure = device.procedure
    device.recorded_at = device.recorded_at or now
    if not takes_a_device(procedure):
        raise Refusal("This procedure leaves no device in the patient.", code="not_allowed_now")
    kind = KIND_OF_FAMILY.get(procedure.procedure_type.family)
    if kind and device.kind != kind:
        raise Refusal(f"This procedure implants a {kind.label}.", code="wrong_kind", field="kind")
    check_due(device, "battery_due_on", device.battery_due_on)
    check_due(device, "refill_due_on", device.refill_due_on)
    device.full_clean(exclude={"procedure", "recorded_by"})
    zone = procedure.site.zone
    if device.implanted_on > now.astimezone(zone).date():
        raise Refusal("This date is in the future.", code="in_the_future", field="implanted_on")
    if device.implanted_on < procedure.performed_at.astimezone(zone).date():
        raise Refusal(
            "This is before the day of the procedure.", code="before_procedure", field="implanted_on"
        )


def check_due(device: ImplantedDevice, field: str, day: date | None) -> None:
    """Refuse a day on which nothing can fall due; codes as above. None is always possible: not known."""
    if day is None:
        return
    if field == "refill_due_on" and device.kind != Kind.INTRATHECAL_PUMP:
        raise Refusal("Only a pump is refilled.", code="not_a_pump", field=field)
    if device.implanted_on and day < device.implanted_on:
        raise Refusal("This is before the device was implanted.", code="due_before_implant", field=field)


@transaction.atomic
def record_device(device: ImplantedDevice, *, by: User | None, now: datetime) -> ImplantedDevice:
    """Write down a device that a procedure implanted. Raises as `check_device` does."""
    device.procedure = (
        Procedure.objects.select_for_update(of=("self",))
        .select_related("site", "procedure_type")
        .get(pk=device.procedure_id)
    )
    device.recorded_by, device.recorded_at = by, now
    check_device(device, now=now)
    try:
        with transaction.atomic():
            device.save(force_insert=True)
    except IntegrityError as exc:
        if getattr(exc.__cause__, "sqlstate", None) != "23505":
            raise
        raise Refusal(
            "A device of this manufacturer and serial number is recorded already.", code="recorded_already"
        ) from None
    audit.record("device.recorded", device, by=by, at=now, site=device.procedure.site)
    return device


def lock_device(device_id: int) -> ImplantedDevice:
    """The device, for this transaction alone. Raises Refusal "not_allowed_now" for one entered in error."""
    device = (
        ImplantedDevice.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type")
        .get(pk=device_id)
    )
    if device.entered_in_error_at:
        raise Refusal("This device was entered in error.", code="not_allowed_now")
    return device


def in_place(device_id: int) -> ImplantedDevice:
    """The same of a device that is still in its patient. Raises Refusal "not_allowed_now"."""
    device = lock_device(device_id)
    if device.explanted_on:
        raise Refusal("This device was taken out.", code="not_allowed_now")
    return device


@transaction.atomic
def refilled(device_id: int, *, next_due_on: date | None, by: User | None, now: datetime) -> ImplantedDevice:
    """Say that a pump was filled, and by when it must be filled again; None: not known.

    The same day again changes nothing. Raises Refusal "not_allowed_now", "not_a_pump"; "in_the_past", field
    "next_due_on".
    """
    return move_due(device_id, "refill_due_on", next_due_on, action="device.refilled", by=by, now=now)


@transaction.atomic
def battery_checked(
    device_id: int, *, next_due_on: date | None, by: User | None, now: datetime
) -> ImplantedDevice:
    """Say that the battery was looked at, and by when it must be looked at again; None: not known.

    The same day again changes nothing. Raises Refusal as `refilled` does, but for "not_a_pump".
    """
    return move_due(device_id, "battery_due_on", next_due_on, action="device.battery_checked", by=by, now=now)


def move_due(
    device_id: int, field: str, day: date | None, *, action: str, by: User | None, now: datetime
) -> ImplantedDevice:
    """Move what is due to another day."""
    device = in_place(device_id)
    if field == "refill_due_on" and device.kind != Kind.INTRATHECAL_PUMP:
        raise Refusal("Only a pump is refilled.", code="not_a_pump")
    if day is not None and day < now.astimezone(device.procedure.site.zone).date():
        raise Refusal("This date is past.", code="in_the_past", field="next_due_on")
    if getattr(device, field) == day:
        return device
    setattr(device, field, day)
    device.save(update_fields=[field])
    audit.record(action, device, by=by, at=now, site=device.procedure.site)
    return changed(device, by=by, now=now)


@transaction.atomic
def explant(
    device_id: int, *, on: date, reason: str, note: str = "", by: User | None, now: datetime
) -> ImplantedDevice:
    """Say that a device was taken out on the day `on` of its site's calendar. Nothing of it is due any more.

    `reason`: one of ImplantedDevice.Explanted; "other" needs a `note`, of up to 500 characters. With the last device
    of a procedure its follow-up ends. The same once more changes nothing. Raises Refusal "not_allowed_now";
    "before_implant" and "in_the_future", field "on"; "reason_required", "too_long".
    """
    note = note.strip()
    if reason not in ImplantedDevice.Explanted.values or not reason:
        raise Refusal("Say why it was taken out.", code="reason_required", field="reason")
    if reason == ImplantedDevice.Explanted.OTHER and not note:
        raise Refusal("Say why it was taken out.", code="reason_required", field="note")
    if len(note) > 500:
        raise Refusal("A note has at most 500 characters.", code="too_long", field="note")
    device = lock_device(device_id)
    if (device.explanted_on, device.explanted_reason, device.explanted_note) == (on, reason, note):
        return device
    device = in_place(device_id)
    if on < device.implanted_on:
        raise Refusal("This is before the device was implanted.", code="before_implant", field="on")
    if on > now.astimezone(device.procedure.site.zone).date():
        raise Refusal("This date is in the future.", code="in_the_future", field="on")
    device.explanted_on, device.explanted_reason, device.explanted_note = on, reason, note
    device.save(update_fields=["explanted_on", "explanted_reason", "explanted_note"])
    audit.record("device.explanted", device, by=by, at=now, site=device.procedure.site)
    return changed(device, by=by, now=now)


@transaction.atomic
def void_device(device_id: int, *, reason: str, by: User | None, now: datetime) -> ImplantedDevice:
    """Mark a device, for a reason, as entered in error; its row stays, and its serial number is free again.

    Raises Refusal "reason_required", "reason_too_long", "not_allowed_now".
    """
    reason = reason.strip()
    if not reason:
        raise Refusal("Say why.", code="reason_required", field="reason")
    if len(reason) > 500:
        raise Refusal("Say it in at most 500 characters.", code="reason_too_long", field="reason")
    device = lock_device(device_id)
    device.entered_in_error_at, device.entered_in_error_reason = now, reason
    device.save(update_fields=["entered_in_error_at", "entered_in_error_reason"])
    audit.record("device.entered_in_error", device, by=by, at=now, site=device.procedure.site)
    return changed(device, by=by, now=now)


def changed(device: ImplantedDevice, *, by: User | None, now: datetime) -> ImplantedDevice:
    """Tell the apps above, in the same transaction."""
    device_changed.send(ImplantedDevice, device=device, by=by, now=now)
    return device
