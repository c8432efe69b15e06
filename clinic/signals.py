"""Facts that the ground floor announces to the apps above, inside the transaction in which they come true."""

from django.dispatch import Signal

#: An e-mail came back because its address does not exist. Arguments: address, now.
address_bounced = Signal()
#: Whoever reads an address wants no more e-mail. Arguments: address, reason ("complained", "unsubscribed"), now.
address_stopped = Signal()
