"""The outbox: an e-mail is a row; sending it is claim, send, mark, and the row is the retry.

`messages` is what an e-mail says, `email_status` what becomes of its row, `delivery` what happens between the two,
`delivery_reports` what is said of it afterwards.
"""

from clinic.outbox.delivery import send_due
from clinic.outbox.email_status import PAUSES, TRIES, queue, queue_all, retry
from clinic.outbox.letterheads import Letterhead, shown_with_logo
from clinic.outbox.messages import NAME, Attachment, Message, Skip, Wait, html_of, in_bulk
from clinic.outbox.previews import EXAMPLE, Preview
