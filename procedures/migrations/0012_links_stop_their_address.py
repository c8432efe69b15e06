"""Which address an e-mailed link stops e-mail to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("procedures", "0011_other_peoples_calendars")]

    operations = [migrations.AddField("appointmentlink", "stop_key", models.UUIDField(null=True))]
