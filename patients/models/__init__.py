"""Who the patients are, how they may be reached, what they take, and who answers for them."""

from patients.models.caregivers import (
    AnsweredBy,
    Caregiver,
    CaregiverQuerySet,
    Reader,
    answering,
    with_caregivers,
)
from patients.models.patients import (
    LAST_DAY_OF_RECORDING,
    MOST_OF_A_DOSE,
    FormerAddress,
    OpioidUse,
    OpioidUseQuerySet,
    Patient,
    PatientQuerySet,
    full_years,
)
