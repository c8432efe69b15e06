"""The catalogue, appointments with their reservations, and performed procedures."""

from procedures.models.appointments import (
    Appointment,
    AppointmentStep,
    Intent,
    Laterality,
    Privilege,
    Procedure,
    Reservation,
)
from procedures.models.baselines import Baseline
from procedures.models.catalogue import (
    FigureConfirmation,
    ProcedureType,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)
from procedures.models.catalogue_items import ReadinessItem, RedFlag
from procedures.models.devices import ImplantedDevice
from procedures.models.waitlist import AppointmentLink, CalendarFeed, FreedTime, WaitlistEntry
