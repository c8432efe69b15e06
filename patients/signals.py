"""Facts that patients announce to the apps above, inside the transaction in which they come true."""

from django.dispatch import Signal

#: What was e-mailed to a patient until now must open nothing any more. Arguments: patient, cause, now. `cause` as a
#: code: "address_changed", "deceased", "merged", "consent_withdrawn" or "opted_out".
links_void = Signal()
