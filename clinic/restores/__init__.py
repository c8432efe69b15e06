"""A database that was set back in time sends nothing again before a person has said what (docs/decisions/0033).

`outside_copy` is the copy of the database's identity and counter that lies beside it, `counter` raises both around each
batch of messages and notices when they do not fit, `decisions` is what a person may then do.
"""

from clinic.restores.counter import Run, doubtful_until, why_paused
