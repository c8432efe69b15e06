"""Why a patient, or who answers for them, is not written to, in the words of the front desk."""

from django.utils.translation import gettext_lazy as _

#: Why no e-mail goes out; the codes are those of `Patient.why_no_email`.
NO_EMAIL = {
    "deceased": _("The patient has died."),
    "merged": _("This record was merged into another one, which counts."),
    "no_address": _("No e-mail address is known."),
    "no_consent": _("The patient has not agreed to be asked by e-mail."),
    "opted_out": _("The patient asked us to stop e-mails."),
    "bounced": _("E-mail came back: there is no such address. Ask for the right one and correct it below."),
}
#: Why no e-mail goes to who answers for a patient; the codes are those of `Caregiver.why_no_email`.
NO_EMAIL_TO_CAREGIVER = {
    "deceased": NO_EMAIL["deceased"],
    "merged": NO_EMAIL["merged"],
    "no_consent": _("The caregiver has not agreed to be asked by e-mail."),
    "opted_out": _("The caregiver asked us to stop e-mails."),
    "bounced": _("E-mail to the caregiver came back: there is no such address. Ask for the right one."),
}
