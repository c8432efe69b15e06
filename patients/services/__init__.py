"""Every write to patients and to what they take: one function an action, one transaction each."""

from patients.services.duplicates import LikelyDuplicate, Match, matches, new_matches
from patients.services.imports import import_patients, patients_from
from patients.services.merges import (
    CHOICES,
    Merged,
    Obstacle,
    belonging,
    merge,
    obstacles,
    pointers,
    refuse_pair,
)
from patients.services.opioids import (
    check_opioid_use,
    correct_opioid_use,
    end_opioid_use,
    record_opioid_use,
)
from patients.services.patients import (
    check,
    is_silent,
    note_bounce,
    note_stop,
    opt_out,
    read,
    save,
    stop_address,
    withdraw_consent,
)
from patients.services.record_numbers import free_number

__all__ = [
    "CHOICES",
    "LikelyDuplicate",
    "Match",
    "Merged",
    "Obstacle",
    "belonging",
    "check",
    "check_opioid_use",
    "correct_opioid_use",
    "end_opioid_use",
    "free_number",
    "import_patients",
    "is_silent",
    "matches",
    "merge",
    "new_matches",
    "note_bounce",
    "note_stop",
    "obstacles",
    "opt_out",
    "patients_from",
    "pointers",
    "read",
    "record_opioid_use",
    "refuse_pair",
    "save",
    "stop_address",
    "withdraw_consent",
]
