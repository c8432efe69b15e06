"""Sites, staff, resources and their hours; the audit trail; the outbox; jobs."""

from clinic.models.audit import AuditEvent, AuditSeal
from clinic.models.base import DURING, keep_history
from clinic.models.jobs import Job
from clinic.models.outbox import DeliveryReport, OutgoingEmail, OutgoingText, message_id
from clinic.models.requests import SentRequest
from clinic.models.resources import Closure, Resource, ResourceCategory, WorkingHours
from clinic.models.sending_pauses import DatabaseIdentity, SendingPause
from clinic.models.sites import OPTIONAL_ALERTS, Site, SiteLogo, validate_time_zone
from clinic.models.staff import MEMBERSHIPS, User, UserManager
