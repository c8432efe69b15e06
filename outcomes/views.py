"""The patient's page. GET shows and changes nothing; POST acts. No account, no JavaScript, nothing from elsewhere."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from clinic.pages import gone, language, page
from outcomes import services
from outcomes.models import Answer, CheckIn


class PainForm(forms.Form):
    """The pain now, 0–10, as eleven large buttons to choose from."""

    score = forms.TypedChoiceField(
        choices=[(str(score), str(score)) for score in range(11)],
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Please choose a number from 0 to 10."),
            "invalid_choice": _("Please choose a number from 0 to 10."),
        },
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check_in(request: HttpRequest, token: str) -> HttpResponse:
    """Show the question of one check-in, or take its answer and show the thanks.

    Unknown, altered, revoked and past links all get the same page, with status 410 and the clinics' phones.
    """
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        return gone(request)
    site = found.follow_up.procedure.site
    with translation.override(language(request, found.follow_up.patient.language)):
        if found.status == CheckIn.Status.ANSWERED:
            return page(request, "outcomes/thanks.html", site, token=token)
        form = PainForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            services.answer(
                found.pk,
                score=form.cleaned_data["score"],
                channel=Answer.Channel.EMAIL,
                language=translation.get_language() or "en",
                by=None,
                now=now,
            )
            return redirect(request.get_full_path())
        status = 422 if form.is_bound else 200
        return page(request, "outcomes/check_in.html", site, status=status, form=form, token=token)


@never_cache
@require_POST
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Stop all e-mails to the patient whose link this is; pressing it twice shows the same page."""
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        return gone(request)
    services.stop_emails(found, now=now)
    with translation.override(language(request, found.follow_up.patient.language)):
        return page(request, "outcomes/stopped.html", found.follow_up.procedure.site, token=token)
