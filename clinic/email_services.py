"""The mail services that EMAIL_URL can name instead of an SMTP server, and anymail's settings. Knows no Django."""

from urllib.parse import parse_qsl, urlsplit

#: Seconds that one conversation with a mail server or service may stand still.
EMAIL_TIMEOUT = 20
#: Only services that can be told not to rewrite links: theirs would tell them the secret address of a patient's page.
EMAIL_SERVICES = ("amazon-ses", "mailersend", "mailgun", "mailjet", "postmark", "sendgrid")
#: The setting with which a service's reports are signed, which they must be besides bringing EMAIL_WEBHOOK_SECRET, by
#: anymail's name. Mailgun signs with its API key unless it is given another; anymail checks no signature of the rest.
SIGNED_WITH = {"mailersend": "signing_secret", "sendgrid": "tracking_webhook_verification_key"}
#: What of Amazon SES is boto3's to know, and not anymail's.
OF_BOTO3 = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "endpoint_url", "region_name"}


def mail_service(url: str) -> tuple[str, dict[str, object]]:
    """Anymail's name of the mail service at `url`, and its settings for it. Raises ValueError for any other address."""
    parts = urlsplit(url)
    service = parts.scheme.removeprefix("anymail+")
    # A key may hold a plus, which elsewhere stands for a space; no setting of a service has one.
    values: dict[str, object] = dict(parse_qsl(parts.query.replace("+", "%2B"), strict_parsing=True))
    if service not in EMAIL_SERVICES or parts.netloc or parts.path.strip("/"):
        raise ValueError
    # No pixel and no rewritten link: who reads what is nobody else's business.
    untracked: dict[str, object] = {"track_opens": False, "track_clicks": False}
    if service == "amazon-ses":
        off = {"ClickTrackingEnabled": "DISABLED", "OpenTrackingEnabled": "DISABLED"}
        untracked = {"esp_extra": {"ConfigurationOverrides": {"Tracking": off}}}
        values = for_boto3(values)
    name = service.replace("-", "_")
    return name, {f"{name}_{key}".upper(): value for key, value in values.items()} | {
        f"{name}_send_defaults".upper(): untracked
    }


def for_boto3(values: dict[str, object]) -> dict[str, object]:
    """The settings of Amazon SES as anymail takes them.

    One try for each e-mail, and no longer than any other service gets: the outbox is what tries again, and a second try
    after a time-out could be a second e-mail.
    """
    config = {
        "connect_timeout": EMAIL_TIMEOUT,
        "read_timeout": EMAIL_TIMEOUT,
        "retries": {"total_max_attempts": 1},
    }
    client = {key: value for key, value in values.items() if key in OF_BOTO3}
    rest = {key: value for key, value in values.items() if key not in OF_BOTO3}
    return rest | {"client_params": client | {"config": config}}
