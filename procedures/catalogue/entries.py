"""What a catalogue is made of, and what a page of it may say.

Days and hours count from the procedure. `confirmed` None means that no physician stands by the figure yet.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, Strict

from clinic.toml_pages import (
    STRICT,
    Code,
    Confirmed,
    NotEmpty,
    Number,
    Rising,
    Text,
    Unique,
    Whole,
    YesOrNo,
    matching,
)

Purpose = Literal[
    "diagnostic",
    "therapeutic",
    "diagnostic_and_therapeutic",
    "device_trial",
    "device_implant",
    "device_maintenance",
]
Family = Literal[
    "epidural_steroid_injection",
    "facet_intervention",
    "nerve_block",
    "sympathetic_block",
    "joint_injection",
    "radiofrequency_ablation",
    "spinal_cord_stimulation",
    "peripheral_nerve_stimulation",
    "intrathecal_drug_delivery",
    "device_maintenance",
    "trigger_point_injection",
    "adhesiolysis",
]
Imaging = Literal[
    "fluoroscopy",
    "ct",
    "ultrasound",
    "ultrasound_if_contrast_contraindicated",
    "nerve_stimulator",
    "landmark",
]
Sedation = Literal[
    "none",
    "local_only",
    "minimal_oral",
    "moderate_iv",
    "moderate_iv_with_reason",
    "mac",
    "general",
    "mac_or_general",
]
Side = Literal["left", "right", "bilateral", "midline"]
# fmt: off
Region = Literal[
    "head", "cervical", "thoracic", "lumbar", "sacral", "sacroiliac", "chest_wall", "abdomen", "pelvis",
    "shoulder", "upper_limb", "hip", "knee", "lower_limb", "bursa", "peripheral", "device",
    "head_neck", "shoulder_girdle", "thoracic_muscle", "lumbar_muscle", "gluteal",
]
# fmt: on
Severity = Literal["mild", "moderate", "serious", "life_threatening"]
Urgency = Literal["emergency", "same_day", "next_working_day"]
#: The kinds of resource that a procedure can ask for.
Category = Literal[
    "physician",
    "nurse",
    "procedure_room",
    "recovery_bay",
    "c_arm",
    "ultrasound",
    "rf_generator",
    "programmer",
    "device_representative",
]
#: M54.16, G90.511, S83.206A.
Icd10Cm = Annotated[
    Text, matching(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?", "ICD-10-CM codes look like M54.16.")
]
Minutes = Annotated[Whole, Field(ge=0, le=1440)]
Percent = Annotated[Whole, Field(ge=1, le=100)]
Name = Annotated[Text, Field(max_length=120)]
Source = Annotated[Text, Field(max_length=500)]
#: Of what many types share.
SharedSource = Annotated[Text, Field(max_length=300)]
Sentence = Annotated[Text, Field(max_length=300)]
Texts = Annotated[tuple[Text, ...], Unique]
Hours = Annotated[float, Strict(), Field(gt=0, le=10_000, multiple_of=0.5)]
#: The share of a trial's days in relief that passes it, where a page does not say (a choice, unconfirmed).
TRIAL_DAYS_PERCENT = 50


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long the procedure and the recovery after it take, in minutes."""

    __pydantic_config__ = STRICT

    procedure_minutes: Annotated[Minutes, Field(ge=1)]
    recovery_minutes: Minutes
    source: Source
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class Onset:
    """When relief usually begins, in days after the procedure."""

    __pydantic_config__ = STRICT

    from_days: Number
    until_days: Number
    source: Source
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class ReliefWindow:
    """The earliest and the latest day, counted from the procedure, on which relief is expected to end.

    `from_hours` and `until_hours` say so for an anaesthetic that wears off within hours; None for all others.
    `ongoing`: the effect has no expected end, and `until_days` is the horizon of follow-up.
    """

    __pydantic_config__ = STRICT

    from_days: Number
    until_days: Number
    from_hours: Number | None = None
    until_hours: Number | None = None
    ongoing: YesOrNo
    source: Source
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class CheckIns:
    """When the patient is asked, in days and in hours after the procedure.

    `every_days_after`: after the last day, again every so many days without end; None: not again.
    """

    __pydantic_config__ = STRICT

    days: Annotated[tuple[Annotated[Whole, Field(gt=0, le=10_000)], ...], NotEmpty, Rising]
    hours: Annotated[tuple[Hours, ...], Rising]
    every_days_after: Annotated[Number, Field(ge=1)] | None = None
    source: Source
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class EvaluateAfter:
    """The first day after the procedure on which a bad score counts as a failure and not as a flare."""

    __pydantic_config__ = STRICT

    days: Number
    source: Source
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class Success:
    """The relief that counts, in percent of the pain before the procedure.

    `diagnostic_percent`: the relief that counts when the procedure is done as a test; None: the same.
    `trial_days_percent`: the share of a trial's days in relief that passes it.
    """

    __pydantic_config__ = STRICT

    percent: Percent
    diagnostic_percent: Percent | None = None
    trial_days_percent: Percent = TRIAL_DAYS_PERCENT
    source: Source
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Something that may go wrong. `transient`: it passes by itself.

    `asked_by`: codes of those red flags of its type that ask about it; `not_asked`: why none does. One of them is
    given, the other is empty.
    """

    __pydantic_config__ = STRICT

    name: Name
    severity: Severity
    transient: YesOrNo
    asked_by: Texts = ()
    not_asked: Annotated[Text, Field(max_length=200)] = ""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A resource of `category`, needed from a minute of the appointment on and for so many minutes."""

    __pydantic_config__ = STRICT

    category: Category
    starts_after_minutes: Minutes
    lasts_minutes: Annotated[Minutes, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class RedFlag:
    """A question to the patient, in English and in Spanish, whose yes never waits."""

    __pydantic_config__ = STRICT

    code: Code
    question: Sentence
    question_es: Sentence
    urgency: Urgency
    source: SharedSource
    confirmed: Confirmed


@dataclass(frozen=True, kw_only=True)
class ReadinessItem:
    """Something to make sure of before a procedure. `blocking`: it must not start without.

    `advice`: what the patient is told to do beforehand, in English and in Spanish; both "" where there is
    nothing to do.
    """

    __pydantic_config__ = STRICT

    code: Code
    label: Annotated[Text, Field(max_length=200)]
    note: Sentence = ""
    blocking: YesOrNo
    advice: Sentence = ""
    advice_es: Sentence = ""
    source: SharedSource


@dataclass(frozen=True, kw_only=True)
class ProcedureType:
    """One page of the catalogue. `red_flags` and `readiness` are codes of the shared pages.

    `restarts`: of maintenance, the families of the implants whose course it starts anew; empty of most.
    """

    __pydantic_config__ = STRICT

    code: Code
    name: Name
    family: Family
    purpose: Purpose
    description: Text
    imaging: Annotated[tuple[Imaging, ...], Unique]
    imaging_required: YesOrNo
    sedation: Sedation
    sedation_options: Annotated[tuple[Sedation, ...], Unique]
    laterality: Literal["required", "optional", "not_applicable"]
    laterality_options: Annotated[tuple[Side, ...], Unique]
    regions: Annotated[tuple[Region, ...], Unique]
    indications: Annotated[tuple[Icd10Cm, ...], Unique]
    restarts: Annotated[tuple[Family, ...], Unique] = ()
    red_flags: Texts
    readiness: Texts
    after_care: Texts
    duration: Duration
    onset: Onset
    relief_window: ReliefWindow
    check_ins: CheckIns
    evaluate_after: EvaluateAfter
    success: Success
    risks: tuple[Risk, ...]
    requires: tuple[Requirement, ...]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything in the folder, sorted by code."""

    procedure_types: tuple[ProcedureType, ...]
    red_flags: tuple[RedFlag, ...]
    readiness: tuple[ReadinessItem, ...]
