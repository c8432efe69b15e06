"""What each role may do. Groups and their permissions are made after every migration; where, is said by a user's sites.

Each app says in its own `roles.py` what the roles may do with its models; `grant_all` puts these together. A
clinic's own additional groups and permissions are left alone.
"""

from importlib import import_module
from typing import Any

from django.apps import apps

FRONT_DESK = "Front desk"
NURSE = "Nurse"
PHYSICIAN = "Physician"
MANAGER = "Manager"
ADMINISTRATOR = "Administrator"
EVERYONE = (FRONT_DESK, NURSE, PHYSICIAN, MANAGER, ADMINISTRATOR)

#: role → codenames of this app's permissions.
GRANTS: dict[str, list[str]] = {
    role: ["view_site", "view_resource", "view_resourcecategory", "view_workinghours", "view_closure"]
    for role in EVERYONE
}
OUTBOXES = ["view_outgoingemail", "view_deliveryreport", "view_outgoingtext", "view_sendingpause"]
GRANTS[FRONT_DESK] += [*OUTBOXES, "add_closure", "change_closure", "close_others"]
# Their own leave; see procedures.services.close.
GRANTS[PHYSICIAN] += ["add_closure", "change_closure"]
GRANTS[NURSE] += ["add_closure", "change_closure"]
GRANTS[MANAGER] += [
    *("change_site", "add_resource", "change_resource", *OUTBOXES),
    *(f"{verb}_{model}" for verb in ("add", "change", "delete") for model in ("workinghours", "closure")),
    *("close_others", "view_user", "view_auditevent"),
]
GRANTS[ADMINISTRATOR] += [
    *GRANTS[MANAGER],
    *("add_site", "add_resourcecategory", "change_resourcecategory", "add_user", "change_user"),
    *("view_auditseal", "decide_sending"),
]


def grant_all(**_: Any) -> None:
    """Make the five groups and give them what the apps' `roles.GRANTS` say; idempotent, takes nothing away."""
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Group, Permission

    for label in ("clinic", "patients", "procedures", "outcomes"):
        config = apps.get_app_config(label)
        # This app's signal comes before the upper apps' own: make their permissions now.
        create_permissions(config, verbosity=0)
        for role, codenames in import_module(f"{label}.roles").GRANTS.items():
            group, _made = Group.objects.get_or_create(name=role)
            wanted = Permission.objects.filter(content_type__app_label=label, codename__in=codenames)
            missing = set(codenames) - {permission.codename for permission in wanted}
            if missing:
                raise LookupError(f"{label}.roles names permissions that do not exist: {sorted(missing)}")
            group.permissions.add(*wanted)
