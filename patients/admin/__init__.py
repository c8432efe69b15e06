"""Patients at the front desk, the opioids that they take, and who answers for them."""

from patients.admin import caregivers, merge, opioids
from patients.admin.patients import Panel, PatientAdmin, searched, to_correct
