"""Every write to patients and to what they take: one function an action, one transaction each."""

from patients.services.opioids import (
    check_opioid_use,
    correct_opioid_use,
    end_opioid_use,
    record_opioid_use,
)
from patients.services.saving import (
    check,
    import_patients,
    note_bounce,
    note_stop,
    opt_out,
    patients_from,
    read,
    save,
    stop_address,
    withdraw_consent,
)

__all__ = [
    "check",
    "check_opioid_use",
    "correct_opioid_use",
    "end_opioid_use",
    "import_patients",
    "note_bounce",
    "note_stop",
    "opt_out",
    "patients_from",
    "read",
    "record_opioid_use",
    "save",
    "stop_address",
    "withdraw_consent",
]
