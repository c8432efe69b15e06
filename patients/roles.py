"""What each role may do with patients."""

from clinic.roles import ADMINISTRATOR, EVERYONE, FRONT_DESK, MANAGER, NURSE, PHYSICIAN

GRANTS: dict[str, list[str]] = {role: ["view_patient", "view_opioiduse"] for role in EVERYONE}
for role in (FRONT_DESK, NURSE, PHYSICIAN, MANAGER, ADMINISTRATOR):
    GRANTS[role] += ["add_patient", "change_patient"]
for role in (FRONT_DESK, MANAGER, ADMINISTRATOR):
    GRANTS[role] += ["merge_patient"]
for role in (NURSE, PHYSICIAN, ADMINISTRATOR):
    GRANTS[role] += ["record_opioiduse"]
