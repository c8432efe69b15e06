"""Links that were e-mailed to patients who have died, were merged, or want or allow no e-mail open nothing any more."""

from typing import Any

from django.db import migrations, models
from django.db.models import Q
from django.utils import timezone


def void(apps: Any, schema_editor: Any) -> None:
    now = timezone.now()
    patients = apps.get_model("patients", "Patient").objects.filter(
        Q(died_on__isnull=False)
        | Q(merged_into__isnull=False)
        | Q(opted_out_at__isnull=False)
        | Q(consented_at=None)
    )
    link = apps.get_model("outcomes", "Link").objects.filter(revoked_at=None)
    check_ins = apps.get_model("outcomes", "CheckIn").objects.filter(follow_up__patient__in=patients)
    link.filter(check_in__in=check_ins).update(revoked_at=now)
    courses = apps.get_model("outcomes", "FollowUp").objects.filter(patient__in=patients)
    link.filter(follow_up__in=courses).update(revoked_at=now)
    apps.get_model("procedures", "AppointmentLink").objects.filter(
        appointment__patient__in=patients, tablet_until=None, revoked_at=None
    ).update(revoked_at=now)


class Migration(migrations.Migration):
    dependencies = [
        ("outcomes", "0017_relief_is_back"),
        ("patients", "0009_former_addresses"),
        ("procedures", "0012_links_stop_their_address"),
    ]

    operations = [
        migrations.AddField("link", "stop_key", models.UUIDField(null=True)),
        migrations.RunPython(void, migrations.RunPython.noop),
    ]
