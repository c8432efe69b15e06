"""What each role may do with follow-ups and their answers."""

from clinic.roles import ADMINISTRATOR, EVERYONE, FRONT_DESK, MANAGER, NURSE, PHYSICIAN

#: role → codenames of this app's permissions.
GRANTS: dict[str, list[str]] = {
    role: [
        *("view_followup", "view_checkin", "view_answer", "view_measurement", "view_verdictchange"),
        "view_alert",
    ]
    for role in EVERYONE
}
for role in (ADMINISTRATOR, FRONT_DESK, NURSE, PHYSICIAN):
    GRANTS[role] += ["record_answer"]
for role in (ADMINISTRATOR, NURSE, PHYSICIAN):
    GRANTS[role] += ["handle_alert", "correct_answer"]
for role in (ADMINISTRATOR, MANAGER, NURSE, PHYSICIAN):
    GRANTS[role] += ["view_reports"]
