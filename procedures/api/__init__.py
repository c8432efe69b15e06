"""The catalogue, finding and booking a time, the waitlist, closures and performed procedures by API."""

from procedures.api.catalogue import ProcedureTypes
from procedures.api.closures import Closures
from procedures.api.deceased import AppointmentsOfDeceased
from procedures.api.devices import ImplantedDevices
from procedures.api.displaced import Displaced
from procedures.api.feeds import CalendarFeeds
from procedures.api.freed import FreedTimes
from procedures.api.importing import ImportAppointments
from procedures.api.performed import Procedures
from procedures.api.schedule import Appointments
from procedures.api.slots import Slots
from procedures.api.waiting import Waitlist

__all__ = [
    "Appointments",
    "AppointmentsOfDeceased",
    "CalendarFeeds",
    "Closures",
    "Displaced",
    "FreedTimes",
    "ImplantedDevices",
    "ImportAppointments",
    "ProcedureTypes",
    "Procedures",
    "Slots",
    "Waitlist",
]
