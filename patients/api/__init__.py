"""Patients and the opioids that they take, for physicians and nurses."""

from patients.api.merge import Merges
from patients.api.opioids import OpioidUses
from patients.api.patients import ImportPatients, PatientNameSerializer, Patients

__all__ = ["ImportPatients", "Merges", "OpioidUses", "PatientNameSerializer", "Patients"]
