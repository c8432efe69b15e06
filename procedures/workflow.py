"""The states of an appointment and the named steps between them. Pure: a table, and what follows from it.

(request) requested ─ accept ┐                     ┌─ make_ready ─ start ─ to_recovery ─┐
     (hold) held ────── book ┴─ confirm ─ arrive ──────────────────────────────── complete
                                       └ mark_no_show       undo_…, cancel, enter_in_error: see the table
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A named way from any of the states `origins` to the state `to`.

    `permission` is what staff must hold. `needs_reason`: it is refused without one. `ends`: the appointment gives its
    time back. `undoes`: the step that it takes back; it leads to the state before that one, and to `to` where the
    history does not say which that was. What is asked before a step and what follows from it:
    `procedures.services.transitions.HANDLERS`.
    """

    name: str
    origins: frozenset[str]
    to: str
    permission: str
    needs_reason: bool = False
    ends: bool = False
    undoes: str = ""

    @property
    def goals(self) -> frozenset[str]:
        """The states that it may lead to."""
        return STEPS[self.undoes].origins if self.undoes else frozenset({self.to})


BOOK = "procedures.book_appointment"
CANCEL = "procedures.cancel_appointment"
RECEIVE = "procedures.receive_appointment"
TREAT = "procedures.treat_appointment"
PERFORM = "procedures.perform_procedure"
VOID = "procedures.void_procedure"

EXPECTED = {"booked", "confirmed"}
PRESENT = {"arrived", "ready", "in_procedure", "recovering"}

STEPS = {
    step.name: step
    for step in (
        Step("accept", frozenset({"requested"}), "booked", BOOK),
        Step("book", frozenset({"held"}), "booked", BOOK),
        Step("confirm", frozenset({"booked"}), "confirmed", BOOK),
        Step("arrive", frozenset(EXPECTED), "arrived", RECEIVE),
        Step("undo_arrival", frozenset({"arrived"}), "booked", RECEIVE, undoes="arrive"),
        Step("make_ready", frozenset({"arrived"}), "ready", TREAT),
        Step("start", frozenset({"arrived", "ready"}), "in_procedure", TREAT),
        Step("to_recovery", frozenset({"in_procedure"}), "recovering", TREAT),
        # Who records late records all of it at once: the procedure is what counts.
        Step("complete", frozenset(EXPECTED | PRESENT), "completed", PERFORM),
        Step("mark_no_show", frozenset(EXPECTED), "no_show", RECEIVE, ends=True),
        Step("undo_no_show", frozenset({"no_show"}), "booked", RECEIVE, undoes="mark_no_show"),
        Step(
            "cancel",
            frozenset({"requested", "held", "arrived", "ready"} | EXPECTED),
            "cancelled",
            CANCEL,
            needs_reason=True,
            ends=True,
        ),
        Step(
            "enter_in_error",
            frozenset({"requested", "no_show", "cancelled", "completed"} | EXPECTED | PRESENT),
            "entered_in_error",
            VOID,
            needs_reason=True,
            ends=True,
        ),
    )
}

#: Steps that take more than a reason, and so have services of their own names: `accept`, and `perform` for "complete".
BY_THEMSELVES = ("accept", "complete")


def possible(status: str) -> list[Step]:
    """The steps that lead on from `status`, in the order of a patient's way through the house."""
    return [step for step in STEPS.values() if status in step.origins]
