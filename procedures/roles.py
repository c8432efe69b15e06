"""What each role may do with the catalogue, appointments and procedures."""

from clinic.roles import ADMINISTRATOR, EVERYONE, FRONT_DESK, MANAGER, NURSE, PHYSICIAN

CATALOGUE = (
    "proceduretype",
    "resourcerequirement",
    "risk",
    "redflag",
    "readinessitem",
    "reliefprofile",
    "figureconfirmation",
)
#: role → codenames of this app's permissions.
GRANTS: dict[str, list[str]] = {
    role: [
        *(f"view_{model}" for model in CATALOGUE),
        *("view_appointment", "view_reservation", "view_procedure", "view_appointmentstep", "view_privilege"),
        *("view_waitlistentry", "view_freedtime", "view_calendarfeed", "view_implanteddevice"),
        "view_baseline",
    ]
    for role in EVERYONE
}
for role in (FRONT_DESK, NURSE, PHYSICIAN, ADMINISTRATOR):
    GRANTS[role] += ["book_appointment", "cancel_appointment", "receive_appointment", "manage_waitlistentry"]
    GRANTS[role] += ["record_baseline"]
for role in (NURSE, PHYSICIAN, ADMINISTRATOR):
    GRANTS[role] += ["treat_appointment"]
for role in (PHYSICIAN, MANAGER, ADMINISTRATOR):
    GRANTS[role] += ["overbook_appointment"]
for role in (NURSE, PHYSICIAN, ADMINISTRATOR):  # an administrator may grant only what they hold
    GRANTS[role] += ["perform_procedure", "record_implanteddevice"]
for role in (PHYSICIAN, ADMINISTRATOR):
    GRANTS[role] += [
        *("void_procedure", "add_figureconfirmation", "add_reliefprofile", "change_proceduretype"),
        *(
            f"{verb}_{model}"
            for model in ("resourcerequirement", "risk")
            for verb in ("add", "change", "delete")
        ),
        *("change_redflag", "change_readinessitem"),
    ]
for role in (MANAGER, ADMINISTRATOR):
    GRANTS[role] += ["change_proceduretype", "add_privilege", "change_privilege", "delete_privilege"]
# A physician's is their own; see procedures.services.calendar_feeds.
for role in (FRONT_DESK, PHYSICIAN, MANAGER, ADMINISTRATOR):
    GRANTS[role] += ["add_calendarfeed"]
for role in (FRONT_DESK, MANAGER, ADMINISTRATOR):
    GRANTS[role] += ["publish_others"]
