"""What staff ask a patient, and the forms on which the answers are written down."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

from django import forms
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    BASE_INPUT_CLASSES,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from clinic.admin.datetime_widgets import DateInput, WallClockField
from outcomes import instruments
from outcomes.instruments import BilingualText
from outcomes.models import Answer, CheckIn, Measurement
from outcomes.questions import (
    ENDED_ON,
    PAIN_NOW,
    TOOK_MEDICINE,
    WORN_OFF,
    Question,
    from_instrument,
    red_flag,
)
from outcomes.services.answers import diary_of
from outcomes.services.check_in_questions import since_when_question, steps_of, worn_off_question
from patients.models import AnsweredBy, Patient
from procedures.services.red_flag_wordings import wordings_at

#: Stands on a form for a question that was not asked, or not answered.
NOT_ASKED = "-"


def questions_of(check_in: CheckIn) -> list[Question]:
    """What a check-in asks, in the order of the patient's page. Wants procedure type, site and profile selected."""
    asked = [question for step in steps_of(check_in, by_staff=True) for question in step.questions]
    if diary_of(check_in):
        words = "Have you taken pain medicine since the last entry?"
        with translation.override("es"):
            medicine = BilingualText(words, gettext(words))
        asked.append(Question(TOOK_MEDICINE, medicine, "yes_no"))
    return asked


def kept_questions(answer: Answer, asked: Iterable[Question]) -> list[Question]:
    """The questions that an answer holds figures of, in the version that was asked then, and the others of `asked`."""
    kept = {
        f"{measurement.instrument}.{measurement.item}": measurement
        for measurement in Measurement.objects.filter(answer=answer)
    }
    codes = [measurement.item for measurement in kept.values() if measurement.instrument == "red_flag"]
    flags = {
        f"red_flag.{flag.code}": red_flag(
            flag.code, BilingualText(flag.question, flag.question_es or None), flag.urgency
        )
        for flag in wordings_at(codes, answer.answered_at)
    }
    result = []
    for question in asked:
        figure = kept.pop(question.key, None)
        result.append(flags.get(question.key) or as_asked(figure, question) if figure else question)
    for name, figure in kept.items():
        if name == WORN_OFF:
            result.append(worn_off_question())
        elif name == ENDED_ON:
            result.append(since_when_question(answer.check_in.follow_up))
        else:
            otherwise = Question(name, BilingualText(name, None), "yes_no")
            result.append(flags.get(name) or as_asked(figure, otherwise))
    return result


def as_asked(figure: Measurement, otherwise: Question) -> Question:
    """The question of a figure in its own version; `otherwise` when no file holds that version any more."""
    instrument = instruments.registry().get((figure.instrument, figure.version))
    if instrument is None:
        return otherwise
    return from_instrument(otherwise.key, {figure.instrument: instrument})


def buttons(question: Question, language: str) -> list[tuple[str, str]]:
    """Value and words of each choice; on a scale the number alone."""
    if question.kind == "yes_no":
        with translation.override(language):
            return [("0", gettext("No")), ("1", gettext("Yes"))]
    words = {anchor.code: anchor.text.in_language(language) for anchor in question.anchors}
    return [(str(code), words[code] if question.kind == "list" else str(code)) for code in question.codes]


def answer_text(question: Question, value: int, language: str) -> str:
    """An answer in words: those of the button, or the date of a day."""
    if question.kind == "date":
        return f"{question.day_zero + timedelta(days=value):%-d %b %Y}"
    return dict(buttons(question, language)).get(str(value), str(value))


def ends(question: Question, language: str) -> list[str]:
    """What the ends of a scale mean: "0 = no pain"; nothing for a list."""
    if question.kind != "scale":
        return []
    return [f"{anchor.code} = {anchor.text.in_language(language)}" for anchor in question.anchors]


class DayField(forms.DateField):
    """A day that counts from `day_zero`: cleans to the number of days since then, and shows it as a date."""

    def __init__(self, *, day_zero: date, **kwargs: Any) -> None:
        widget = DateInput({"class": " ".join(BASE_INPUT_CLASSES), "min": day_zero.isoformat()}, "%Y-%m-%d")
        super().__init__(widget=widget, required=False, **kwargs)
        self.day_zero = day_zero

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        return None if day is None else (day - self.day_zero).days

    def prepare_value(self, value: Any) -> Any:
        return self.day_zero + timedelta(days=value) if isinstance(value, int) else value


class QuestionsForm(forms.Form):
    """One group of buttons a question, in the patient's language, with the English beneath."""

    names: ClassVar[dict[str, str]] = {}

    def __init__(
        self, *args: Any, questions: list[Question], language: str, stands: Mapping[str, int], **kwargs: Any
    ) -> None:
        """`stands`: the values that are shown as chosen already, by name."""
        super().__init__(*args, **kwargs)
        self.questions = questions
        own = {name: self.fields.pop(name) for name in list(self.fields)}
        for question in questions:
            english = [question.text.en] if language != "en" and question.text.es else []
            if question.kind == "date":
                self.fields[question.key] = DayField(
                    day_zero=question.day_zero,
                    label=question.text.in_language(language),
                    initial=stands.get(question.key),
                    help_text=" ".join(english),
                )
                continue
            choices = buttons(question, language)
            if question.key != PAIN_NOW:
                choices.append((NOT_ASKED, str(_("not asked"))))
            # A red flag is never passed over: that it was not asked must be said.
            passed_over = NOT_ASKED if stands or not question.required else None
            self.fields[question.key] = forms.TypedChoiceField(
                label=question.text.in_language(language),
                coerce=figure,
                empty_value=None,
                required=question.required,
                choices=choices,
                initial=stands.get(question.key, None if question.key == PAIN_NOW else passed_over),
                widget=forms.RadioSelect({"class": "desk-scale"}),
                help_text=" · ".join([*ends(question, language), *english]),
            )
        self.fields |= own

    def values(self) -> dict[str, int]:
        """What was said, by "instrument.item"; without what was not asked."""
        said = {question.key: self.cleaned_data.get(question.key) for question in self.questions}
        return {key: value for key, value in said.items() if value is not None}

    def said_yes(self) -> list[str]:
        """The codes of the red flags that were answered with yes, be the rest complete or not."""
        return [
            question.key.partition(".")[2]
            for question in self.questions
            if question.urgency and self.cleaned_data.get(question.key) == 1
        ]

    def red_flags(self) -> list[tuple[str, Any]]:
        """The red flags' fields, each with how urgent a yes is."""
        return [(question.urgency, self[question.key]) for question in self.questions if question.urgency]

    def others(self) -> list[Any]:
        """The fields of all other questions."""
        return [self[question.key] for question in self.questions if not question.urgency]

    def more(self) -> list[Any]:
        """The fields that are no questions."""
        asked = {question.key for question in self.questions}
        return [self[name] for name in self.fields if name not in asked]


def figure(chosen: str) -> int | None:
    """The value of a button."""
    return None if chosen == NOT_ASKED else int(chosen)


def who_answered() -> forms.TypedChoiceField:
    """Who said it. Where nothing is chosen, the patient."""
    return forms.TypedChoiceField(
        label=_("Answered by"),
        choices=AnsweredBy.choices,
        initial=AnsweredBy.PATIENT,
        empty_value=AnsweredBy.PATIENT,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("A caregiver who answers in the patient’s place; the answer is marked."),
    )


class AnswerForm(QuestionsForm):
    """What a patient says when somebody asks, or wrote on paper."""

    answered_by = who_answered()
    remark = forms.CharField(
        label=_("Remark"), required=False, max_length=2000, widget=UnfoldAdminTextareaWidget({"rows": 3})
    )
    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=[(value, label) for value, label in Answer.Channel.choices if value != Answer.Channel.EMAIL],
        widget=UnfoldAdminSelectWidget,
    )
    language = forms.ChoiceField(
        label=_("Asked in"), choices=Patient.Language.choices, widget=UnfoldAdminSelectWidget
    )


class ReportForm(AnswerForm):
    """What a patient says who was not asked."""

    names: ClassVar[dict[str, str]] = {"follow_up": ""}


class CallAnswerForm(QuestionsForm):
    """The same on the telephone."""

    answered_by = who_answered()
    remark = forms.CharField(
        label=_("Remark"), required=False, max_length=2000, widget=UnfoldAdminTextareaWidget({"rows": 3})
    )


class CorrectionForm(QuestionsForm):
    """What an answer should have said, and why it did not."""

    names: ClassVar[dict[str, str]] = {"values": ""}
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Why it is corrected, such as “typed 7 for 1”."),
    )


class AgainForm(forms.Form):
    """When the patient wants to be called again."""

    names: ClassVar[dict[str, str]] = {"again_at": "again"}
    again = WallClockField(label=_("Call again at"), help_text=_("On the wall clock of the site."))


class CodeForm(forms.Form):
    """Which paper form it is."""

    names: ClassVar[dict[str, str]] = {}
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget(
            {"autocomplete": "off", "autofocus": True, "placeholder": "1234-56"}
        ),
        help_text=_("It stands at the top of the form, on the right."),
    )
