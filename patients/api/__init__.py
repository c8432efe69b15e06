"""Patients, the opioids that they take and who answers for them, for physicians and nurses."""

from patients.api.caregivers import Caregivers
from patients.api.merge import Merges
from patients.api.opioids import OpioidUses
from patients.api.patients import ImportPatients, PatientNameSerializer, Patients
