"""The catalogue, finding and booking a time, closures and performed procedures for physicians and nurses."""

from procedures.api.catalogue import ProcedureTypes
from procedures.api.closures import Closures
from procedures.api.schedule import Appointments, Procedures
from procedures.api.slots import Slots

__all__ = ["Appointments", "Closures", "ProcedureTypes", "Procedures", "Slots"]
