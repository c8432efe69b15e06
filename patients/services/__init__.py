"""Every write to patients and to what they take: one function an action, one transaction each."""

from patients.services.caregivers import (
    check_caregiver,
    opt_out_caregiver,
    read_caregiver,
    revoke_caregiver,
    revoke_caregiver_of,
    save_caregiver,
    who_is_asked,
)
from patients.services.duplicates import LikelyDuplicate, Match, matches, new_matches
from patients.services.former_addresses import is_silent, is_stopped
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
    note_bounce,
    note_stop,
    opt_out,
    record_page_view,
    save,
    stop_address,
    withdraw_consent,
)
from patients.services.record_numbers import free_number
