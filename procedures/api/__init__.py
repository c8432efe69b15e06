"""The catalogue, finding and booking a time, the waitlist, closures and performed procedures by API."""

from procedures.api.appointments import Appointments
from procedures.api.calendar_feeds import CalendarFeeds
from procedures.api.catalogue import ProcedureTypes
from procedures.api.closures import Closures
from procedures.api.csv_import import ImportAppointments
from procedures.api.deceased import AppointmentsOfDeceased
from procedures.api.devices import ImplantedDevices
from procedures.api.displaced import Displaced
from procedures.api.freed_times import FreedTimes
from procedures.api.procedures import Procedures
from procedures.api.slots import Slots
from procedures.api.waitlist import Waitlist
