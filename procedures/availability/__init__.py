"""Finding a time: every start on a site's grid at which booking would say yes, from one statement over multiranges.

For each requirement of the procedure type, a resource is free in (working hours − closures − what it is held for). A
free stretch, shrunk by how long the resource is held and shifted back by when, is where the appointment could begin as
far as that resource goes; the union over a category's resources and the intersection over the requirements, less the
patient's own appointments, is where it can. The grid then picks the starts that a clerk would name, and for each of
them resources are chosen as `procedures.services.preview_booking` chooses them.

`search` is what others call. It hands the sites' wall clocks (`clock_changes`) to the statement (`query`), whose answer
is one offer a site (`offers`); on the grid, resources are chosen for each start (`resource_choice`).
"""

from procedures.availability.offers import Slot
from procedures.availability.resource_choice import HeldResource
from procedures.availability.search import (
    by_day,
    find_slots,
    first_available,
    same_clinician,
)
