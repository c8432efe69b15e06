"""The catalogue, appointments and procedures at the front desk."""

from procedures.admin import (
    appointments,
    board,
    booking,
    calendar_feeds,
    catalogue,
    closures,
    deceased,
    devices,
    displaced,
    openings,
    patient_panel,
    procedures,
    tablets,
    waitlist,
    week,
)
