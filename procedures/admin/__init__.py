"""The catalogue, appointments and procedures at the front desk."""

from procedures.admin import appointments, catalogue, panel, performed

__all__ = ["appointments", "catalogue", "panel", "performed"]
