"""Every write to the catalogue, appointments and procedures: one function an action, one transaction each."""

from procedures.services.booking import arrive, book, cancel, check, mark_no_show, reschedule
from procedures.services.confirming import confirm_figure
from procedures.services.performing import Performed, perform, void

__all__ = [
    "Performed",
    "arrive",
    "book",
    "cancel",
    "check",
    "confirm_figure",
    "mark_no_show",
    "perform",
    "reschedule",
    "void",
]
