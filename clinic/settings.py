"""Settings, read from the environment and nowhere else. `.env.example` lists every variable.

Without `DATABASE_URL` and `REDIS_URL` the embedded servers of `manage.py up` are meant: their addresses and this
checkout's own secret stand in `.clinic/environment`, which `up` writes and only its owner can read.
"""

import re
from pathlib import Path

import environ
import structlog
from csp.constants import NONE, SELF, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from structlog.typing import Processor

from clinic.database_urls import database
from clinic.email_services import EMAIL_SERVICES, EMAIL_TIMEOUT, SIGNED_WITH, mail_service

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
#: Where the embedded run keeps its state.
DATA_DIR = Path(env.str("CLINIC_DATA", default=str(BASE_DIR / ".clinic")))
if "DATABASE_URL" not in env:
    environ.Env.read_env(DATA_DIR / "environment")


def required(name: str) -> str:
    """The value of one environment variable; refuses, with a sentence, when it is missing or empty."""
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(
            f"setting_missing: {name} is not set. On your own machine run `python3 manage.py up`; "
            "for a deployment set the variables listed in .env.example."
        )
    return value


DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = required("SECRET_KEY")
SITE_URL = env.str("SITE_URL", default="http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [SITE_URL]

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "pgtrigger",
    "pghistory",
    "clinic",
    "patients",
    "procedures",
    "outcomes",
    *(["django_mail_preview"] if DEBUG else []),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "clinic.content_policy.PolicyMiddleware",
    "clinic.spare_threads.SpareThreadsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "clinic.audit.HistoryMiddleware",
]

ROOT_URLCONF = "clinic.urls"
WSGI_APPLICATION = "clinic.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "clinic" / "templates"],  # before unfold's own
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["clinic.templatetags.phones"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "clinic.admin.banner.paused",
            ],
        },
    },
]

# Where a pooler in front of the database is, host:port; DATABASE_URL then leads there. Empty: there is none.
DATABASE_POOLER = env.str("DATABASE_POOLER", default="")
DATABASES = {
    "default": database(
        required("DATABASE_URL"),
        kept=env.int("DATABASE_CONN_MAX_AGE", default=60),
        pooled=bool(DATABASE_POOLER),
    )
}
REDIS_URL = required("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    }
}
if REDIS_URL.startswith("unix://"):
    # kombu has its own spelling of a socket's address.
    CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
else:
    CELERY_BROKER_URL = REDIS_URL

# With less room than so many megabytes where the web writes it is not ready.
DISK_FREE_MB = env.int("DISK_FREE_MB", default=50)

AUTH_USER_MODEL = "clinic.User"
AUTHENTICATION_BACKENDS = ["clinic.backends.Permissions"]
VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{VALIDATION}.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

# Instants are stored and computed in UTC; every screen shows them on the wall clock of the site they belong to.
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("es", _("Spanish"))]
LOCALE_PATHS = [BASE_DIR / app / "locale" for app in ("clinic", "patients", "procedures", "outcomes")]

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A folder of the site's own instruments, which the project may not ship (docs/instruments.md); empty means none.
INSTRUMENTS_DIR = env.str("INSTRUMENTS_DIR", default="")

# How many hours in a row of a diagnostic block's diary must be in relief for the block to be positive: an operational
# reading of "consistent" relief (a choice; unconfirmed).
DIARY_HOURS_IN_A_ROW = env.int("DIARY_HOURS_IN_A_ROW", default=2)

# E-mail. EMAIL_URL names the SMTP server, or a mail service and its settings, as anymail names them:
# anymail+postmark://?server_token=… Without one, in the embedded run, mail goes to the inbox page at /dev/mail/.
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="clinic@localhost")
EMAIL_SERVICE = ""
# "name:password" with which the service signs in at /webhooks/email/ to report bounces; empty: that address is shut.
ANYMAIL: dict[str, object] = {
    "REQUESTS_TIMEOUT": EMAIL_TIMEOUT,
    "WEBHOOK_SECRET": env.str("EMAIL_WEBHOOK_SECRET", default=""),
}
if ANYMAIL["WEBHOOK_SECRET"] and not re.fullmatch(r"[^:\s]+:\S{16,}", str(ANYMAIL["WEBHOOK_SECRET"])):
    raise ImproperlyConfigured(
        "email_webhook_secret: EMAIL_WEBHOOK_SECRET must be name:password, the password of 16 characters or more."
    )
if "EMAIL_URL" in env or not DEBUG:
    email_url = required("EMAIL_URL")
    try:
        if email_url.startswith("anymail+"):
            EMAIL_SERVICE, ANYMAIL_MORE = mail_service(email_url)
            EMAIL_BACKEND = f"anymail.backends.{EMAIL_SERVICE}.EmailBackend"
            ANYMAIL |= ANYMAIL_MORE
        else:
            vars().update(env.email_url_config(email_url))
    except (ValueError, KeyError, ImproperlyConfigured):
        raise ImproperlyConfigured(
            "email_url: EMAIL_URL cannot be read; it looks like smtp+tls://user:password@host:587 "
            f"or anymail+SERVICE://?setting=value, where SERVICE is one of {', '.join(EMAIL_SERVICES)}."
        ) from None
    signed_with = SIGNED_WITH.get(EMAIL_SERVICE, "")
    if (
        ANYMAIL["WEBHOOK_SECRET"]
        and signed_with
        and not ANYMAIL.get(f"{EMAIL_SERVICE}_{signed_with}".upper())
    ):
        raise ImproperlyConfigured(
            f"email_url: EMAIL_URL lacks {signed_with}, with which {EMAIL_SERVICE} signs its reports; "
            "give it, or no EMAIL_WEBHOOK_SECRET."
        )
else:
    EMAIL_BACKEND = "django_mail_preview.backends.EmailBackend"
    MAIL_PREVIEW_ROOT = DATA_DIR / "inbox"
    MAIL_PREVIEW_MAX_MESSAGES = 200

# The folder of the copy by which a restored database is told (docs/decisions/0033); all senders share it.
SENDING_COPY_DIR = env.str("SENDING_COPY_DIR", default=str(DATA_DIR / "sending"))
# Text messages. Dotted path of a class like those in clinic.sms; empty: none are sent.
SMS_BACKEND = env.str("SMS_BACKEND", default="")

# Celery carries ids and ticks, never a due time: what must happen later is a row (docs/decisions/0003).
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# Seconds. A task that hangs is told to end, and then its process is ended and a new one started. Processes only: the
# threads of `manage.py up` have no such limits.
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 240, 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE = {
    # expires: a backlog of ticks after an outage is one tick.
    "tick": {"task": "outcomes.tasks.tick", "schedule": 60.0, "options": {"expires": 55}},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "clinic.api.permissions.ByToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    # Shut by default: a view that names no permission of its own answers nobody.
    "DEFAULT_PERMISSION_CLASSES": ["clinic.api.permissions.HasNamedPermission"],
    "DEFAULT_PAGINATION_CLASS": "clinic.api.pagination.StableCursorPagination",
    "DEFAULT_SCHEMA_CLASS": "clinic.api.schema.Schema",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["clinic.api.fields.Json"],
    "DEFAULT_THROTTLE_RATES": {"page": "60/minute"},
    # Whose address counts for the throttle: what a client writes into X-Forwarded-For itself must not.
    "NUM_PROXIES": 1 if env.bool("BEHIND_PROXY", default=False) else 0,
    "EXCEPTION_HANDLER": "clinic.api.refusals.problem",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_LIMIT_PER_USER": 20, "AUTO_REFRESH": False}
SPECTACULAR_SETTINGS = {
    "TITLE": "Interventional pain clinic",
    "DESCRIPTION": "Procedures, follow-ups and verdicts against each procedure's expected relief window.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "clinic.api.schema.share_refusals",
    ],
    # No badge that would ask a server elsewhere about this clinic's address.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "ENUM_NAME_OVERRIDES": {
        "AppointmentStatus": "procedures.models.Appointment.Status",
        "CheckInKind": "outcomes.models.CheckIn.Kind",
        "CheckInStatus": "outcomes.models.CheckIn.Status",
        "Laterality": "procedures.models.Laterality",
        "Sided": "procedures.models.ProcedureType.Sided",
        "ProcedureStatus": "procedures.models.Procedure.Status",
        "PerformedStatus": "procedures.api.procedures.PERFORMED",
        "BaselineChannel": "procedures.models.Baseline.Channel",
        "Channel": "outcomes.models.Answer.Channel",
        "StaffChannel": "outcomes.api.BY_STAFF",
        "ContactOutcome": "outcomes.models.ContactAttempt.Outcome",
        "CallOutcome": "outcomes.api.contacts.OUTCOMES",
        "Verdict": "outcomes.models.VERDICTS",
        "AlertKind": "outcomes.models.Alert.Kind",
        "AlertUrgency": "outcomes.models.Alert.Urgency",
        "RedFlagUrgency": "procedures.models.catalogue_items.Urgency",
        "AlertState": "outcomes.api.alerts.STATES",
        "AlertResolution": "outcomes.models.Alert.Resolution",
        "AlertEnding": "outcomes.api.alerts.ENDINGS",
        "WaitlistState": "procedures.api.waitlist.STATES",
        "WaitlistPriority": "procedures.models.WaitlistEntry.Priority",
        "FreedTimeState": "procedures.api.freed_times.STATES",
        "Opioid": "patients.models.OpioidUse.Drug",
        "AnsweredBy": "patients.models.AnsweredBy",
        "RelationEnum": "outcomes.models.AdverseEvent.Relation",
        "CaregiverRelation": "patients.models.Caregiver.Relation",
        "PermittedBy": "patients.models.Caregiver.PermittedBy",
        "WhoIsAsked": "patients.api.caregivers.ASKED",
        "DoseUnit": "patients.models.OpioidUse.Unit",
        "CourseEnding": "outcomes.models.FollowUp.Closed",
        "CourseEndingByStaff": "outcomes.api.follow_up_inputs.ENDED_BY_STAFF",
        "ExportTable": "outcomes.models.Export.Kind",
        "CourseUnit": "outcomes.models.CourseSummary.Unit",
        "WhyLeftOut": "patients.api.opioids.LEFT_OUT",
        "DeviceKind": "procedures.models.ImplantedDevice.Kind",
        "ExplantReason": "procedures.api.devices.REASONS",
        "AdverseEventTerm": "outcomes.api.adverse_events.CODES",
        "AdverseEventSeverity": "outcomes.models.AdverseEvent.Severity",
        "AdverseEventOutcome": "outcomes.models.AdverseEvent.Outcome",
        "Population": "outcomes.api.reports.procedure.POPULATIONS",
        "CurveRun": "outcomes.api.reports.procedure.RUNS",
        "SendingReason": "clinic.models.SendingPause.Reason",
        "ImportMode": "clinic.csv_import.imports.Mode",
        "ImportOutcome": "clinic.csv_import.imports.Outcome",
    },
}

HTTPS = SITE_URL.startswith("https://")
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 12 * 3600
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "style-src": [SELF, UNSAFE_INLINE],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

# Logs: one JSON line an event, with the request's id. Nothing about a patient is ever put into an event, and what
# libraries put there is scrubbed by clinic.logs. structlog's own default would print tracebacks with their variables.
LOG_STEPS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # an address tells who a patient is
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *LOG_STEPS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": LOG_STEPS,
        },
    },
    "filters": {"scrub": {"()": "clinic.logs.ScrubFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["scrub"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # With DEBUG Django has a handler of its own here, which would write addresses as they are; below INFO, SQL.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        # A web worker's own complaints name the request's address; gunicorn would write them as they are.
        "gunicorn.error": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "gunicorn.access": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}

# The admin's looks. Names are dotted paths to functions, which only the pages themselves import.
UNFOLD = {
    "SITE_TITLE": _("Pain clinic"),
    "SITE_HEADER": _("Pain clinic"),
    "SITE_SYMBOL": "spa",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "clinic.admin.navigation.icon"}],
    "STYLES": ["clinic.admin.navigation.stylesheet"],
    "SCRIPTS": ["clinic.admin.navigation.script"],
    "SIDEBAR": {"navigation": "clinic.admin.navigation.sidebar"},
    "DASHBOARD_CALLBACK": "outcomes.admin.overview",
    "COLORS": {
        "primary": {
            "50": "#f0fdfa",
            "100": "#ccfbf1",
            "200": "#99f6e4",
            "300": "#5eead4",
            "400": "#2dd4bf",
            "500": "#14b8a6",
            "600": "#0f766e",
            "700": "#115e59",
            "800": "#134e4a",
            "900": "#0f3d3a",
            "950": "#042f2e",
        },
    },
}
