"""The page on which a patient stops all e-mail. GET shows and changes nothing; POST acts, a mail program's too."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from clinic.patient_pages import gone, language, page, wait
from clinic.throttling import sent_too_often
from patients import services
from patients.models import Caregiver, FormerAddress
from patients.unsubscribe import open_unsubscribe_link


@csrf_exempt  # a mail program posts for the patient, with no cookie and no form before (RFC 8058, section 3.2)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show one button, or stop all e-mail at once. Again shows the same page; never redirects, as the RFC asks.

    Of who answers for a patient, only e-mail to them stops, and of an address that nobody has any more, only e-mail to
    that address. Links that do not open get the same
    page as any other, with status 410, and 429 after 60 a minute from one network address. One that opens is never
    refused: thousands of patients may be behind one mail service's address.
    """
    found = open_unsubscribe_link(token)
    if found is None:
        return wait(request) if sent_too_often(request, token) else gone(request)
    now = timezone.now()
    caregiver = found if isinstance(found, Caregiver) else None
    if isinstance(found, Caregiver):
        if request.method == "POST":
            found = services.opt_out_caregiver(found.pk, now=now, reason="unsubscribed")
        patient, stopped = found.patient, found.opted_out_at is not None
    elif isinstance(found, FormerAddress):
        if request.method == "POST":
            found = services.stop_address(found.pk, now=now)
        patient, stopped = found.patient, services.is_silent(found)
    else:
        patient = found
        if request.method == "POST":
            patient = services.opt_out(patient.pk, by=None, now=now, reason="unsubscribed")
        stopped = patient.opted_out_at is not None
    with translation.override(language(request, (caregiver or patient).language)):
        return page(
            request,
            "patients/unsubscribe.html",
            patient.site,
            token=token,
            stopped=stopped,
            caregiver=caregiver,
        )
