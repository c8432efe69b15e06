"""The terms by which adverse events are told apart: the project's own short list. Pure.

No text of MedDRA or CTCAE is in it: their licences do not allow that, or nobody has read that they do.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Term(StrEnum):
    """What happened. Few words, so that a nurse finds one at a glance and a report has groups that mean something."""

    BLEEDING = "bleeding"
    INFECTION = "infection"
    NERVE_INJURY = "nerve_injury"
    SPINAL_HEADACHE = "spinal_headache"
    NEW_WEAKNESS = "new_weakness"
    NEW_NUMBNESS = "new_numbness"
    ALLERGIC_REACTION = "allergic_reaction"
    RAISED_BLOOD_GLUCOSE = "raised_blood_glucose"
    PAIN_FLARE = "pain_flare"
    LEAD_MIGRATION = "lead_migration"
    DEVICE_MALFUNCTION = "device_malfunction"
    CATHETER_PROBLEM = "catheter_problem"
    OVERDOSE_OR_SEDATION = "overdose_or_sedation"
    WITHDRAWAL = "withdrawal"
    PNEUMOTHORAX = "pneumothorax"
    OTHER = "other"


#: Term → names of the catalogue's risks that it stands for, where one does. A risk of several things ("infection or
#: meningitis") is under the one that it names first.
RISKS: Mapping[Term, frozenset[str]] = MappingProxyType(
    {
        Term.BLEEDING: frozenset(
            {
                "bleeding",
                "bleeding or bruising",
                "bleeding or bruising at the site",
                "bleeding or epidural haematoma",
                "bleeding or neck haematoma",
                "bruising or bleeding",
                "epidural haematoma or abscess",
                "epidural haematoma or abscess with paralysis",
            }
        ),
        Term.INFECTION: frozenset(
            {
                "infection",
                "infection or meningitis",
                "joint infection",
                "meningitis",
                "surgical site infection",
            }
        ),
        Term.NERVE_INJURY: frozenset(
            {
                "nerve injury",
                "nerve injury, bladder or bowel disturbance",
                "nerve or cord injury",
                "neuritis (burning pain)",
                "neuroma",
            }
        ),
        Term.SPINAL_HEADACHE: frozenset(
            {"dural puncture headache", "spinal headache", "spinal fluid leak or headache"}
        ),
        Term.NEW_WEAKNESS: frozenset({"brief muscle weakness", "temporary leg weakness or numbness"}),
        Term.NEW_NUMBNESS: frozenset(
            {
                "temporary arm numbness or weakness",
                "temporary leg numbness or weakness",
                "temporary limb numbness or weakness",
                "temporary numbness or weakness",
            }
        ),
        Term.ALLERGIC_REACTION: frozenset(
            {"allergic reaction", "drug reaction", "reaction to hypertonic saline or enzyme"}
        ),
        Term.RAISED_BLOOD_GLUCOSE: frozenset({"raised blood glucose"}),
        Term.PAIN_FLARE: frozenset(
            {"flare of pain for up to two days", "temporary increase in pain", "worse headache for some days"}
        ),
        Term.LEAD_MIGRATION: frozenset(
            {"lead migration needing repositioning", "lead movement", "lead movement or fracture"}
        ),
        Term.DEVICE_MALFUNCTION: frozenset(
            {"device malfunction", "device malfunction or lead fracture", "pump failure"}
        ),
        Term.CATHETER_PROBLEM: frozenset(
            {
                "catheter kink, leak, fracture or migration",
                "catheter shearing",
                "catheter-tip granuloma",
            }
        ),
        Term.OVERDOSE_OR_SEDATION: frozenset(
            {
                "overdose or respiratory depression",
                "pocket fill with overdose",
                "respiratory depression",
                "wrong drug or concentration",
            }
        ),
        Term.WITHDRAWAL: frozenset({"drug withdrawal", "withdrawal if late"}),
        Term.PNEUMOTHORAX: frozenset(
            {
                "pneumothorax",
                "pneumothorax (chest and neck muscles)",
                "pneumothorax (chest wall blocks)",
            }
        ),
    }
)
