"""Patients at the front desk, and the opioids that they take."""

from patients.admin import merging, opioids
from patients.admin.patients import Panel, PatientAdmin, searched, to_correct

__all__ = ["Panel", "PatientAdmin", "merging", "opioids", "searched", "to_correct"]
