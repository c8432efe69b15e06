"""Facts that procedures announce to the apps above, inside the transaction in which they come true."""

from django.dispatch import Signal

#: A procedure was performed and recorded. Arguments: procedure, now.
procedure_performed = Signal()
#: The time of a procedure was corrected, and with it perhaps its relief profile. Arguments: procedure, reason, now.
procedure_corrected = Signal()
#: The pain before a procedure was corrected: another score, or none. Arguments: procedure, now.
baseline_corrected = Signal()
#: A procedure was found to be entered in error. Arguments: procedure, now.
procedure_voided = Signal()
#: What a device needs, or whether it is in its patient, has changed. Arguments: device, by (None: nobody named), now.
device_changed = Signal()
#: A procedure type has a new version of its relief profile. Arguments: profile, now.
profile_added = Signal()
