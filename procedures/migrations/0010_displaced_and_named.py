"""What an appointment has lost since it was booked, and which of its resources were asked for by name."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clinic', '0010_deputies'),
        ('patients', '0004_find_patients_plainly'),
        ('procedures', '0009_days_that_pass_a_trial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='appointment',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='appointment',
            name='update_update',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='appointment',
            name='delete_delete',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reservation',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reservation',
            name='update_update',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reservation',
            name='delete_delete',
        ),
        migrations.AddField(
            model_name='appointment',
            name='displaced_because',
            field=models.CharField(blank=True, choices=[('', 'not displaced'), ('closed', 'closed'), ('inactive', 'out of use'), ('outside_hours', 'outside the hours')], db_default='', default='', editable=False, max_length=16, verbose_name='displaced'),
        ),
        migrations.AddField(
            model_name='appointmentevent',
            name='displaced_because',
            field=models.CharField(blank=True, choices=[('', 'not displaced'), ('closed', 'closed'), ('inactive', 'out of use'), ('outside_hours', 'outside the hours')], db_default='', default='', editable=False, max_length=16, verbose_name='displaced'),
        ),
        migrations.AddField(
            model_name='reservation',
            name='named',
            field=models.BooleanField(default=False, editable=False, verbose_name='asked for by name'),
        ),
        migrations.AddField(
            model_name='reservationevent',
            name='named',
            field=models.BooleanField(default=False, editable=False, verbose_name='asked for by name'),
        ),
        # The release before, which knows nothing of it, goes on inserting rows meanwhile.
        migrations.RunSQL(
            'ALTER TABLE procedures_reservation ALTER COLUMN named SET DEFAULT false',
            'ALTER TABLE procedures_reservation ALTER COLUMN named DROP DEFAULT',
        ),
        migrations.AddIndex(
            model_name='appointment',
            index=models.Index(condition=models.Q(('displaced_because', ''), _negated=True), fields=['site'], name='appointment_displaced'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='appointment',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "procedures_appointmentevent" ("booked_by_id", "created_at", "displaced_because", "ended_because", "ended_by", "ends_at", "held_until", "id", "indication", "intent", "laterality", "levels", "note", "overbooked_because", "patient_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "procedure_type_id", "region", "request_key", "rescheduled_from_id", "sequence", "site_id", "starts_at", "status", "wants_change_at") VALUES (NEW."booked_by_id", NEW."created_at", NEW."displaced_because", NEW."ended_because", NEW."ended_by", NEW."ends_at", NEW."held_until", NEW."id", NEW."indication", NEW."intent", NEW."laterality", NEW."levels", NEW."note", NEW."overbooked_because", NEW."patient_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."procedure_type_id", NEW."region", NEW."request_key", NEW."rescheduled_from_id", NEW."sequence", NEW."site_id", NEW."starts_at", NEW."status", NEW."wants_change_at"); RETURN NULL;', hash='04449000a8b47dceea6e200f5d7300a70906c185', operation='INSERT', pgid='pgtrigger_insert_insert_a8ef4', table='procedures_appointment', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='appointment',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "procedures_appointmentevent" ("booked_by_id", "created_at", "displaced_because", "ended_because", "ended_by", "ends_at", "held_until", "id", "indication", "intent", "laterality", "levels", "note", "overbooked_because", "patient_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "procedure_type_id", "region", "request_key", "rescheduled_from_id", "sequence", "site_id", "starts_at", "status", "wants_change_at") VALUES (NEW."booked_by_id", NEW."created_at", NEW."displaced_because", NEW."ended_because", NEW."ended_by", NEW."ends_at", NEW."held_until", NEW."id", NEW."indication", NEW."intent", NEW."laterality", NEW."levels", NEW."note", NEW."overbooked_because", NEW."patient_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."procedure_type_id", NEW."region", NEW."request_key", NEW."rescheduled_from_id", NEW."sequence", NEW."site_id", NEW."starts_at", NEW."status", NEW."wants_change_at"); RETURN NULL;', hash='2da280d1e0878cd55eb2f6ce5f7e543c2fb0f64c', operation='UPDATE', pgid='pgtrigger_update_update_4bfb2', table='procedures_appointment', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='appointment',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "procedures_appointmentevent" ("booked_by_id", "created_at", "displaced_because", "ended_because", "ended_by", "ends_at", "held_until", "id", "indication", "intent", "laterality", "levels", "note", "overbooked_because", "patient_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "procedure_type_id", "region", "request_key", "rescheduled_from_id", "sequence", "site_id", "starts_at", "status", "wants_change_at") VALUES (OLD."booked_by_id", OLD."created_at", OLD."displaced_because", OLD."ended_because", OLD."ended_by", OLD."ends_at", OLD."held_until", OLD."id", OLD."indication", OLD."intent", OLD."laterality", OLD."levels", OLD."note", OLD."overbooked_because", OLD."patient_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."procedure_type_id", OLD."region", OLD."request_key", OLD."rescheduled_from_id", OLD."sequence", OLD."site_id", OLD."starts_at", OLD."status", OLD."wants_change_at"); RETURN NULL;', hash='620b40ded675680a3845a53290ef5a255e87f98b', operation='DELETE', pgid='pgtrigger_delete_delete_e4e3a', table='procedures_appointment', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reservation',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "procedures_reservationevent" ("appointment_id", "ends_at", "id", "lane", "named", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "released_at", "resource_id", "starts_at") VALUES (NEW."appointment_id", NEW."ends_at", NEW."id", NEW."lane", NEW."named", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."released_at", NEW."resource_id", NEW."starts_at"); RETURN NULL;', hash='518755f26790ea63cb18c71a6ed9758f49eb8d0f', operation='INSERT', pgid='pgtrigger_insert_insert_ddb3e', table='procedures_reservation', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reservation',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "procedures_reservationevent" ("appointment_id", "ends_at", "id", "lane", "named", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "released_at", "resource_id", "starts_at") VALUES (NEW."appointment_id", NEW."ends_at", NEW."id", NEW."lane", NEW."named", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."released_at", NEW."resource_id", NEW."starts_at"); RETURN NULL;', hash='9b31911ddc4ad942be985335e6b1049fa593dc87', operation='UPDATE', pgid='pgtrigger_update_update_5972d', table='procedures_reservation', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reservation',
            trigger=pgtrigger.compiler.Trigger(name='delete_delete', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "procedures_reservationevent" ("appointment_id", "ends_at", "id", "lane", "named", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "released_at", "resource_id", "starts_at") VALUES (OLD."appointment_id", OLD."ends_at", OLD."id", OLD."lane", OLD."named", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."released_at", OLD."resource_id", OLD."starts_at"); RETURN NULL;', hash='f31a1e5143276c9237458aad2f3036ff253bb03e', operation='DELETE', pgid='pgtrigger_delete_delete_f0a1e', table='procedures_reservation', when='AFTER')),
        ),
    ]
