"""Follow-ups with their verdicts, check-ins, calls and alerts, for physicians, nurses and the front desk."""

from outcomes.api.adverse_events import AdverseEvents
from outcomes.api.alerts import Alerts
from outcomes.api.calls import Calls
from outcomes.api.check_ins import BY_STAFF, CheckIns
from outcomes.api.exports import Exports
from outcomes.api.follow_ups import FollowUps
from outcomes.api.patient_course import PatientCourse
