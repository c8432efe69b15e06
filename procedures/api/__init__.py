"""The catalogue, appointments and performed procedures for physicians and nurses."""

from procedures.api.catalogue import ProcedureTypes
from procedures.api.schedule import Appointments, Procedures

__all__ = ["Appointments", "ProcedureTypes", "Procedures"]
