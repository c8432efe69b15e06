"""The catalogue, appointments and procedures at the front desk."""

from procedures.admin import (
    appointments,
    board,
    booking,
    catalogue,
    deceased,
    devices,
    displaced,
    feeds,
    freed,
    leave,
    panel,
    performed,
    tablets,
    waiting,
    week,
)

__all__ = [
    "appointments",
    "board",
    "booking",
    "catalogue",
    "deceased",
    "devices",
    "displaced",
    "feeds",
    "freed",
    "leave",
    "panel",
    "performed",
    "tablets",
    "waiting",
    "week",
]
