"""Patients at the front desk, and the opioids that they take."""

from patients.admin import merge, opioids
from patients.admin.patients import Panel, PatientAdmin, searched, to_correct

__all__ = ["Panel", "PatientAdmin", "merge", "opioids", "searched", "to_correct"]
