"""Links that were e-mailed before they kept a key to stop by get the patient's of today: a later correction of the
address must not let them stop e-mail to the new one."""

from typing import Any

from django.db import migrations
from django.db.models import OuterRef, Subquery


def fill(apps: Any, schema_editor: Any) -> None:
    def key(model: str, path: str, pk: str) -> Subquery:
        rows = apps.get_model("outcomes" if model != "Appointment" else "procedures", model).objects
        return Subquery(rows.filter(pk=OuterRef(pk)).values(f"{path}unsubscribe_key")[:1])

    links = apps.get_model("outcomes", "Link").objects.filter(stop_key=None)
    links.filter(check_in__isnull=False).update(
        stop_key=key("CheckIn", "follow_up__patient__", "check_in_id")
    )
    links.filter(follow_up__isnull=False).update(stop_key=key("FollowUp", "patient__", "follow_up_id"))
    apps.get_model("procedures", "AppointmentLink").objects.filter(stop_key=None, tablet_until=None).update(
        stop_key=key("Appointment", "patient__", "appointment_id")
    )


class Migration(migrations.Migration):
    dependencies = [
        ("outcomes", "0019_words_of_an_ending"),
        ("patients", "0010_addresses_of_merged_records"),
        ("procedures", "0012_links_stop_their_address"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
