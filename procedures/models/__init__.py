"""The catalogue, appointments with their reservations, and performed procedures."""

from procedures.models.catalogue import (
    FigureConfirmation,
    ProcedureType,
    ReadinessItem,
    RedFlag,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)
from procedures.models.schedule import Appointment, Intent, Laterality, Procedure, Reservation

__all__ = [
    "Appointment",
    "FigureConfirmation",
    "Intent",
    "Laterality",
    "Procedure",
    "ProcedureType",
    "ReadinessItem",
    "RedFlag",
    "ReliefProfile",
    "Reservation",
    "ResourceRequirement",
    "Risk",
]
