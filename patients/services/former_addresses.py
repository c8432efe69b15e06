"""Addresses that a patient, or who answers for them, no longer has: whether e-mail may go there again."""

from patients.models import Caregiver, FormerAddress, Patient


def is_stopped(email: str) -> bool:
    """Whether the reader of an address that was once written to wants no e-mail from here."""
    return (
        bool(email) and FormerAddress.objects.filter(email__iexact=email, stopped_at__isnull=False).exists()
    )


def is_silent(former: FormerAddress) -> bool:
    """Whether an address that nobody is known by any more is sent no e-mail: its reader wants none, and nobody who has
    it by now has agreed again."""
    again = {"email__iexact": former.email, "opted_out_at": None}
    return (
        former.stopped_at is not None
        and not Patient.objects.filter(**again, merged_into=None).exists()
        and not Caregiver.objects.standing().filter(**again).exists()
    )
