"""What staff say on the telephone, in the patient's language and in plain words."""

from collections.abc import Collection
from dataclasses import dataclass

from django.utils import translation
from django.utils.translation import gettext as _

from clinic.models import Site
from outcomes.models import CheckIn
from outcomes.questions import most_urgent
from outcomes.services.check_in_questions import red_flags_of
from procedures.models.catalogue_items import Urgency


@dataclass(frozen=True)
class Script:
    """What to say, one paragraph a line. `if_yes`: to a red flag's yes, by its urgency."""

    opening: list[str]
    questions: str
    red_flags: str
    if_yes: dict[str, str]
    closing: list[str]


def script(site: Site, *, caller: str, language: str) -> Script:
    """The words for one call. Nothing about health is said before the patient has been recognised."""
    words = {"caller": caller, "site": site.name, "phone": site.phone, "emergency": site.emergency_phone}
    with translation.override(language):
        return Script(
            opening=[
                _("Hello, my name is %(caller)s. I am calling from %(site)s.") % words,
                _("Before we go on, please tell me your name and your date of birth."),
                _("I would like to ask how you are. It takes about two minutes. Is this a good time?"),
                _("If it is not: when may I call you again?"),
            ],
            questions=_("I read you each question with its answers. Please choose the one that fits best."),
            red_flags=_(
                "Now some questions to which I need a yes or a no. They are about how you are today."
            ),
            if_yes={
                Urgency.EMERGENCY.value: _(
                    "This needs help right now. Please hang up and call %(emergency)s, or have somebody take you to "
                    "the nearest emergency department. Do not drive yourself. I am telling our doctor at once."
                )
                % words,
                Urgency.SAME_DAY.value: _(
                    "Thank you for telling me. A nurse or a doctor will call you back today. If it gets worse before "
                    "that, call %(emergency)s."
                )
                % words,
                Urgency.NEXT_WORKING_DAY.value: _(
                    "Thank you for telling me. A nurse or a doctor will call you back by the next working day. If it "
                    "gets worse before that, call us at %(phone)s, or %(emergency)s in an emergency."
                )
                % words,
            },
            closing=[
                _("Is there anything else that we should know?"),
                _("Thank you. If anything changes, call us at %(phone)s. In an emergency call %(emergency)s.")
                % words,
            ],
        )


def after_yes(check_in: CheckIn, codes: Collection[str]) -> str:
    """What to say to a patient who said yes to these red flags, by the most urgent one."""
    follow_up = check_in.follow_up
    flags = red_flags_of(follow_up.procedure.procedure_type)
    urgency = most_urgent(flag.urgency for flag in flags if flag.key.partition(".")[2] in codes)
    return script(follow_up.procedure.site, caller="", language=follow_up.patient.language).if_yes[urgency]
