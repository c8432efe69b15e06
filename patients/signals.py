"""What the apps above are asked about patients, or told of them, inside the transaction in which it comes true."""

from django.dispatch import Signal

#: Two records are about to become one. Arguments: duplicate, kept, now. Receivers return a list of
#: `patients.services.Obstacle`: what must be settled first.
merging = Signal()
#: Two records have become one: every row points to `kept` now. Arguments: duplicate (as it was), kept, moved (names of
#: models to the numbers of their rows), new_address (whether e-mail to `kept` goes elsewhere than before), now.
patient_merged = Signal()
#: What was e-mailed to a patient until now must open nothing any more. Arguments: patient, cause, now. `cause` as a
#: code: "address_changed", "deceased", "consent_withdrawn" or "opted_out".
links_void = Signal()
