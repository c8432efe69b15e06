from django.db import migrations


class Migration(migrations.Migration):
    """What ends a course is no longer a repeat alone."""

    dependencies = [("outcomes", "0012_lords_rule_and_harm_table")]

    operations = [
        migrations.RemoveConstraint("followup", "follow_up_repeated_by_another"),
        migrations.RenameField("followup", "repeated_by", "ended_by"),
        migrations.RenameField("followupevent", "repeated_by", "ended_by"),
    ]
