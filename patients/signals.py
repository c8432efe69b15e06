"""What the apps above are asked about patients, or told of them, inside the transaction in which it comes true."""

from django.dispatch import Signal

#: Two records are about to become one. Arguments: duplicate, kept, now. Receivers return a list of
#: `patients.services.Obstacle`: what must be settled first.
merging = Signal()
#: Two records have become one: every row points to `kept` now. Arguments: duplicate (as it was), kept, moved (names of
#: models to the numbers of their rows), now.
patient_merged = Signal()
#: What was e-mailed to a patient until now must open nothing any more. Arguments: patient, cause, moved, now. `cause`,
#: a code: "address_changed", "deceased", "consent_withdrawn", "opted_out", "merged", or "alive" for a death
#: that was recorded by mistake and is taken back: its links are void since then. `moved`: only about these rows,
#: as for `patient_merged`; None: about all of the patient's.
links_void = Signal()
#: Whoever is asked by e-mail how a patient is has changed: a caregiver answers from now on, or no longer, or has
#: another address. What was e-mailed about the patient's check-ins must open nothing any more. Arguments: patient, now.
reader_changed = Signal()
