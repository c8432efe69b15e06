"""Follow-ups, their check-ins, what came back, and what somebody must look at."""

from outcomes.models.adverse_events import AdverseEvent
from outcomes.models.alerts import Alert
from outcomes.models.answers import Answer, AnswerCorrection, Measurement
from outcomes.models.check_ins import CheckIn, ContactAttempt, Draft, Link
from outcomes.models.exports import Export, ExportPart
from outcomes.models.follow_ups import VERDICTS, FollowUp, VerdictChange
from outcomes.models.summaries import CHANNELS, CourseSummary
