"""Every write to the catalogue, appointments and procedures: one function an action, one transaction each."""

from procedures.services.booking import book, check, release_expired_holds, reschedule
from procedures.services.closing import close, displaced_by, extend_yearly_closures, reopen
from procedures.services.confirming import confirm_figure
from procedures.services.performing import Performed, perform, void
from procedures.services.profiling import add_profile, check_profile
from procedures.services.stepping import arrive, cancel, mark_no_show, take_step

__all__ = [
    "Performed",
    "add_profile",
    "arrive",
    "book",
    "cancel",
    "check",
    "check_profile",
    "close",
    "confirm_figure",
    "displaced_by",
    "extend_yearly_closures",
    "mark_no_show",
    "perform",
    "release_expired_holds",
    "reopen",
    "reschedule",
    "take_step",
    "void",
]
