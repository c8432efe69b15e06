"""The paper form of a check-in: printed with a code, and found again by it. No name and no procedure stands on it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from clinic.admin.action_pages import ActionPage, paths
from clinic.patient_pages import speaks
from outcomes import services
from outcomes.admin.calls import wanted
from outcomes.admin.check_in_forms import CodeForm, buttons, ends, questions_of
from outcomes.admin.check_ins import CheckInAdmin
from outcomes.models import CheckIn
from outcomes.paper_form_codes import paper_code
from outcomes.questions import Question


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
            "questions": [printed(question, language) for question in asked if not question.urgency],
            "red_flags": [printed(question, language) for question in asked if question.urgency],
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


class FindByCode(ActionPage):
    """From the code on a form to the page on which its answers are typed in."""

    model = CheckIn
    name, address = "by_code", "paper/"
    permission_required = "outcomes.record_answer"
    form_class = CodeForm
    title, submit = _("Enter a paper form"), _("Find it")
    done = _("This is the check-in of that form.")

    def versioned_row(self) -> None:
        return None

    def lead(self) -> Any:
        return _("The code leads to the check-in; then type in what the patient wrote.")

    def home(self) -> str:
        return reverse("admin:outcomes_checkin_calls")

    def act(self, form: CodeForm) -> CheckIn:
        return services.find_by_code(form.cleaned_data["code"], by=self.by, now=self.now)

    def url_after(self, result: CheckIn) -> str:
        return reverse("admin:outcomes_checkin_answer", args=[result.pk]) + "?channel=paper"


CheckInAdmin.pages += [
    *paths(FindByCode),
    path("<int:pk>/paper/", admin.site.admin_view(paper), name="outcomes_checkin_paper"),
]
