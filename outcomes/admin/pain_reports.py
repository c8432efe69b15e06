"""“My pain is back”, when a patient calls and says so, or does at the front desk."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from clinic.admin.action_pages import paths
from outcomes import services
from outcomes.admin.check_in_forms import ReportForm
from outcomes.admin.follow_ups import FollowUpAdmin, FollowUpPage
from outcomes.questions import ENDED_ON, PAIN_NOW
from outcomes.services.pain_reports import questions_about


class PainBack(FollowUpPage):
    """Write down that the pain is back: the pain now, and since which day."""

    name, address = "pain_back", "<int:pk>/pain-back/"
    permission_required = "outcomes.record_answer"
    form_class, service = ReportForm, staticmethod(services.report_pain)
    title, submit = _("The pain is back"), _("Record")
    done = _("It is written down, and the follow-up judged again.")

    def unavailable_reason(self) -> Any:
        ended = _("This course has ended, or takes no reports: a test, or the upkeep of a device.")
        return "" if services.takes_reports(self.row) else ended

    def lead(self) -> str:
        patient = self.row.patient
        return f"{patient} · {patient.phone or '–'} · {self.row.procedure.procedure_type}"

    def get_form_kwargs(self) -> dict[str, Any]:
        language = self.row.patient.language
        return {
            **super().get_form_kwargs(),
            "questions": list(questions_about(self.row)),
            "language": language,
            "stands": {},
            "initial": {"channel": "phone", "language": language},
        }

    def values(self, form: ReportForm) -> dict[str, Any]:
        said = form.values()
        own = {name: form.cleaned_data[name] for name in ("remark", "channel", "language", "answered_by")}
        return {"pain": said[PAIN_NOW], "ended_on": said.get(ENDED_ON), **own}


FollowUpAdmin.pages += paths(PainBack)
