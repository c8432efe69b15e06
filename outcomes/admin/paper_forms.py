"""The paper form of a check-in: printed with a code, and found again by it. No name and no procedure stands on it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.patient_pages import speaks
from outcomes import services
from outcomes.admin.calls import wanted
from outcomes.admin.check_in_forms import CodeForm, buttons, ends, questions_of
from outcomes.admin.check_ins import CheckInAdmin
from outcomes.paper_form_codes import paper_code
from outcomes.questions import Question
from procedures.admin.workflow_actions import take


def paper(request: HttpRequest, pk: int) -> HttpResponse:
    """The form, ready to print, in the patient's language, or in that which `lang` in the address names."""
    if not request.user.has_perm("outcomes.record_answer"):
        raise PermissionDenied
    check_in = get_object_or_404(wanted(request), pk=pk)
    site = check_in.follow_up.procedure.site
    chosen = request.GET.get("lang", "")
    language = chosen if speaks(chosen) else check_in.follow_up.patient.language
    asked = questions_of(check_in)
    with translation.override(language):
        context = {
            "language": language,
            "site": site,
            "code": paper_code(check_in.pk),
            "until": check_in.closes_at.astimezone(site.zone).replace(tzinfo=None),
            "questions": [printed(one, language) for one in asked if not one.urgency],
            "red_flags": [printed(one, language) for one in asked if one.urgency],
            "back": reverse("admin:outcomes_checkin_change", args=[pk]),
        }
        response = render(request, "admin/outcomes/paper.html", context)
    response["Cache-Control"] = "no-store, private"
    return response


def printed(question: Question, language: str) -> dict[str, Any]:
    """A question as it stands on paper."""
    return {
        "text": question.text.in_language(language),
        "choices": [words for _value, words in buttons(question, language)],
        "ends": ends(question, language),
        "is_list": question.kind != "scale",
        "is_date": question.kind == "date",
    }


def by_code(request: HttpRequest) -> HttpResponse:
    """From the code on a form to the page on which its answers are typed in."""
    if not request.user.has_perm("outcomes.record_answer"):
        raise PermissionDenied
    form = CodeForm(request.POST if request.method == "POST" else None)

    def act() -> str:
        pk = services.find_by_code(form.cleaned_data["code"], by=staff(request), now=timezone.now()).pk
        return reverse("admin:outcomes_checkin_answer", args=[pk]) + "?channel=paper"

    return take(
        request,
        form,
        act,
        done=_("This is the check-in of that form."),
        back=reverse("admin:outcomes_checkin_calls"),
        context={
            "title": _("Enter a paper form"),
            "submit": _("Find it"),
            "danger": False,
            "lead": _("The code leads to the check-in; then type in what the patient wrote."),
        },
    )


CheckInAdmin.pages += [
    path("paper/", admin.site.admin_view(by_code), name="outcomes_checkin_by_code"),
    path("<int:pk>/paper/", admin.site.admin_view(paper), name="outcomes_checkin_paper"),
]
