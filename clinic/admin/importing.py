"""The page on which a file is imported: check it, read what would be refused, then import it.

The file is kept nowhere between the two steps. It is chosen a second time, and a signed fingerprint in the page makes
sure that what is imported is what was checked: no patient's data waits in a session, a cache or a folder until
somebody remembers to delete it. While it is being read it stays in memory, too.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from unfold.decorators import action
from unfold.widgets import BASE_INPUT_CLASSES

from clinic.admin.base import staff
from clinic.csv_files import LARGEST, Column, too_large
from clinic.importing import Mode, Outcome, Report
from clinic.uploads import InMemory

#: A checked file can be imported for so long, in seconds: a working day.
CHECKED_FOR = 12 * 3600
#: How many refusals, and how many changes, the page shows; the numbers above them count all.
MOST = 500
SALT = "clinic.admin.importing"


class FileForm(forms.Form):
    """The file, and what is to be done with it. `checked` is the signed fingerprint of a file that was checked."""

    file = forms.FileField(
        label=_("CSV file"),
        allow_empty_file=True,  # said with the import's own words
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
        error_messages={"required": _("Choose a file; one larger than 20 MB is not taken.")},
    )
    mode = forms.ChoiceField(
        label=_("Then"),
        required=False,
        choices=[
            (Mode.ALL, _("import everything, or nothing if one row is refused")),
            (Mode.GOOD, _("import the good rows and leave the refused ones out")),
        ],
        initial=Mode.ALL,
        widget=forms.RadioSelect,
    )
    checked = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, mark: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mark = mark
        self.data_read = b""
        self.fields["file"].widget.attrs["class"] = " ".join(BASE_INPUT_CLASSES)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if file := cleaned.get("file"):
            self.data_read = file.read()
            if len(self.data_read) > LARGEST:
                self.add_error("file", forms.ValidationError(too_large().sentence, code="too_large"))
            elif cleaned.get("checked") and not self.was_checked(cleaned["checked"]):
                self.add_error(
                    "file",
                    forms.ValidationError(_("This is not the file that was checked."), code="other_file"),
                )
        return cleaned

    def was_checked(self, signed: str) -> bool:
        """Whether it is the file whose fingerprint was signed, for the same page and the same person."""
        try:
            known: Any = signing.loads(signed, salt=SALT, max_age=CHECKED_FOR)
        except signing.BadSignature:
            return False
        return bool(known == [self.mark, self.fingerprint])

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.data_read).hexdigest()


class ImportsFiles:
    """Mixed into a model's admin: an "Import" button above its list, and the page behind it."""

    actions_list: ClassVar[Sequence[str]] = ("import_file",)
    #: Who may import.
    import_permissions: ClassVar[Sequence[str]] = ()
    import_columns: ClassVar[Sequence[Column]] = ()
    opts: Any
    admin_site: Any

    def import_service(self, data: bytes, **how: Any) -> Report:
        """Call the service that imports."""
        raise NotImplementedError

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms(self.import_permissions))

    @action(description=_("Import"), url_path="import", permissions=["import"], icon="upload_file")
    @csrf_exempt  # only until the upload's handler is set: `protected` asks for the token
    def import_file(self, request: HttpRequest) -> HttpResponse:
        request.upload_handlers = [InMemory(request)]

        @csrf_protect
        def protected(request: HttpRequest) -> HttpResponse:
            return self.import_page(request)

        return protected(request)

    def import_page(self, request: HttpRequest) -> HttpResponse:
        """The page of both steps. Importing twice is safe, so reloading it is, too."""
        user = staff(request)
        mark = f"{self.opts.label_lower} {user.pk}"
        posted = request.method == "POST"
        form = FileForm(request.POST if posted else None, request.FILES if posted else None, mark=mark)
        report, status = None, 200
        if posted and form.is_valid():
            importing = bool(form.cleaned_data["checked"])
            mode = Mode(form.cleaned_data["mode"] or Mode.ALL) if importing else Mode.CHECK
            report = self.import_service(form.data_read, mode=mode, by=user, now=timezone.now())
            if (mode == Mode.CHECK or not report.saved) and not report.unreadable:
                signed = signing.dumps([mark, form.fingerprint], salt=SALT)
                form = FileForm(initial={"checked": signed, "mode": Mode.ALL}, mark=mark)
            else:
                form = FileForm(mark=mark)
        elif posted:
            status = 422
        again = bool(form["checked"].value())
        if not again:
            del form.fields["mode"]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Import: %s") % self.opts.verbose_name_plural,
            "opts": self.opts,
            "form": form,
            "again": again,
            "columns": self.import_columns,
            "back": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
            **(report_context(report) if report else {}),
        }
        return TemplateResponse(request, "admin/clinic/import.html", context, status=status)


def report_context(report: Report) -> dict[str, Any]:
    """The report as the page shows it."""
    if report.unreadable:
        heading = _("The file cannot be read. Nothing was saved.")
    elif report.mode == Mode.CHECK:
        heading = _("Checked. Nothing is saved yet.")
    elif report.saved:
        heading = _("Imported.")
    else:
        heading = _("Nothing was saved.")
    noted = [line for line in report.lines if line.columns]
    return {
        "report": report,
        "report_heading": heading,
        "tallies": [(outcome.label, report.count(outcome)) for outcome in Outcome],
        "refusals": report.refusals[:MOST],
        "more_refusals": max(len(report.refusals) - MOST, 0),
        "noted": noted[:MOST],
        "more_noted": max(len(noted) - MOST, 0),
    }
