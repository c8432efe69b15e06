"""Records that were merged before keep to which address they were written: its reader stops e-mail to it alone."""

from typing import Any

from django.db import migrations
from django.utils import timezone


def keep(apps: Any, schema_editor: Any) -> None:
    former = apps.get_model("patients", "FormerAddress")
    merged = apps.get_model("patients", "Patient").objects.filter(merged_into__isnull=False)
    now = timezone.now()
    former.objects.bulk_create(
        (
            former(
                patient_id=one.merged_into_id,
                email=one.email,
                unsubscribe_key=one.unsubscribe_key,
                replaced_at=now,
            )
            for one in merged.exclude(email="").iterator()
        ),
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("patients", "0009_former_addresses")]

    operations = [migrations.RunPython(keep, migrations.RunPython.noop)]
