"""Unsubscribing with one click, as mail programs offer it (RFC 8058): the address, its token, and who it belongs to."""

from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from patients.models import Caregiver, FormerAddress, Patient, Reader

#: The patient's random key, signed: who reads the database alone cannot make a link of it.
SIGNER = Signer(salt="patients.unsubscribe", sep=".")


def unsubscribe_url(reader: Reader) -> str:
    """The secret address at which a patient, or who answers for one, stops all e-mail to themselves. The same until
    their e-mail address changes."""
    return f"{settings.SITE_URL}{reverse('unsubscribe', args=[token_of(reader.unsubscribe_key)])}"


def token_of(key: UUID) -> str:
    """The token in that address, by the key of the patient, the caregiver or an e-mail address that they had before."""
    return SIGNER.sign(key.hex)


def unsubscribe_headers(reader: Reader) -> dict[str, str]:
    """The headers of an e-mail that asks or reminds. Needs the reader's `unsubscribe_key` and no query.

    RFC 8058, section 3.1: one-click needs an https address, so a site without has only the link to a page.
    """
    url = unsubscribe_url(reader)
    headers = {"List-Unsubscribe": f"<{url}>"}
    if url.startswith("https://"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def open_unsubscribe_link(token: str) -> Patient | Caregiver | FormerAddress | None:
    """The patient or the caregiver whose link it is, or the address to which it was sent when they have it no longer;
    None for a link that is altered or unknown. The link of a record that was merged is the kept one's where both had
    one address.
    """
    try:
        key = UUID(hex=SIGNER.unsign(token))
    except (BadSignature, ValueError):
        return None
    patient = Patient.objects.select_related("site", "merged_into__site").filter(unsubscribe_key=key).first()
    kept = patient.merged_into if patient else None
    if patient and (kept is None or kept.email.casefold() == patient.email.casefold()):
        return kept or patient
    caregivers = Caregiver.objects.standing().select_related("patient__site")
    if caregiver := caregivers.filter(unsubscribe_key=key).first():
        return caregiver
    return FormerAddress.objects.select_related("patient__site").filter(unsubscribe_key=key).first()
