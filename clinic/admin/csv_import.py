"""The page on which a file is imported: check it, read what would be refused, then import it.

The file is kept nowhere between the two steps. It is chosen a second time, and a signed fingerprint in the page makes
sure that what is imported is what was checked: no patient's data waits in a session, a cache or a folder until
somebody remembers to delete it. While it is being read it stays in memory, too: a long file is read while its page is
being sent, and each piece of the page says how far it is. So a file needs no job that keeps it, and the page no script.
"""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any, ClassVar, cast

import pghistory
import structlog
from django import forms
from django.core import signing
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from unfold.decorators import action
from unfold.widgets import BASE_INPUT_CLASSES

from clinic.admin.base import staff
from clinic.audit import behind
from clinic.csv_import.files import LARGEST, Column, too_large
from clinic.csv_import.imports import Mode, Outcome, Report, Steps, finish
from clinic.uploads import InMemoryUploadHandler

logger = structlog.get_logger(__name__)

#: A checked file can be imported for so long, in seconds: a working day.
CHECKED_FOR = 12 * 3600
#: How many refusals, and how many changes, the page shows; the numbers above them count all.
MOST = 500
#: A file of more lines is read while its page is being sent; how far it is, is said after every EVERY rows.
LONG, EVERY = 1000, 100
SALT = "clinic.admin.csv_import"
PAGE = "admin/clinic/import.html"
PROGRESS = "<p><progress max='{}' value='{}'></progress>{} <span class='desk-sub'>{}</span></p>\n"
#: Where the page is cut in two while an import runs.
CUT = "<!-- how far it is -->"


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

    def import_steps(self, data: bytes, **how: Any) -> Steps:
        """The service that imports, row by row."""
        raise NotImplementedError

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms(self.import_permissions))

    @action(description=_("Import"), url_path="import", permissions=["import"], icon="upload_file")
    @csrf_exempt  # only until the upload's handler is set: `protected` asks for the token
    def import_file(self, request: HttpRequest) -> HttpResponseBase:
        request.upload_handlers = [InMemoryUploadHandler(request)]

        @csrf_protect
        def protected(request: HttpRequest) -> HttpResponseBase:
            return self.import_page(request)

        return protected(request)

    def import_page(self, request: HttpRequest) -> HttpResponseBase:
        """The page of both steps. Importing twice is safe, so reloading it is, too."""
        user = staff(request)
        mark = f"{self.opts.label_lower} {user.pk}"
        posted = request.method == "POST"
        form = FileForm(request.POST if posted else None, request.FILES if posted else None, mark=mark)
        if not posted or not form.is_valid():
            status = 422 if posted else 200
            return TemplateResponse(request, PAGE, self.page_context(request, form), status=status)
        importing = bool(form.cleaned_data["checked"])
        mode = Mode(form.cleaned_data["mode"] or Mode.ALL) if importing else Mode.CHECK
        steps = self.import_steps(form.data_read, mode=mode, by=user, now=timezone.now())
        if form.data_read.count(b"\n") > LONG:
            return self.told_while_it_runs(request, form, steps)
        report = finish(steps, None)
        return TemplateResponse(request, PAGE, self.reported(request, form, report))

    def told_while_it_runs(self, request: HttpRequest, form: FileForm, steps: Steps) -> StreamingHttpResponse:
        """The page, sent piece by piece while the file is read. Who closes it stops the import."""
        context = self.page_context(request, form) | {"running": True}
        head, _cut, _rest = render_to_string(PAGE, context, request).partition(CUT)

        def pieces() -> Iterator[str]:
            # The middleware's own has ended when the first piece is sent.
            with pghistory.context(**behind(request)):
                yield head
                try:
                    report = yield from progress_pieces(steps)
                    last = self.reported(request, form, report)
                except Exception as exc:
                    logger.error("import_failed", fault=type(exc).__name__)
                    last = self.page_context(request, FileForm(mark=form.mark)) | {"failed": True}
                yield render_to_string(PAGE, last | {"running": True}, request).partition(CUT)[2]

        response = StreamingHttpResponse(pieces())
        response["X-Accel-Buffering"] = "no"  # a proxy in between sends on each piece as it comes
        return response

    def reported(self, request: HttpRequest, form: FileForm, report: Report) -> dict[str, Any]:
        """What the page says of an import that has ended, and its form for the next step."""
        again = FileForm(mark=form.mark)
        if (report.mode == Mode.CHECK or not report.saved) and not report.unreadable:
            signed = signing.dumps([form.mark, form.fingerprint], salt=SALT)
            again = FileForm(initial={"checked": signed, "mode": Mode.ALL}, mark=form.mark)
        return self.page_context(request, again) | report_context(report)

    def page_context(self, request: HttpRequest, form: FileForm) -> dict[str, Any]:
        """What the page shows whatever has happened."""
        again = bool(form["checked"].value())
        if not again:
            form.fields.pop("mode", None)
        return {
            **self.admin_site.each_context(request),
            "title": _("Import: %s") % self.opts.verbose_name_plural,
            "opts": self.opts,
            "form": form,
            "again": again,
            "columns": self.import_columns,
            "back": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"),
        }


def progress_pieces(steps: Steps) -> Generator[str, None, Report]:
    """Each piece of the page that says how far an import is; at its end the report."""
    words = {
        "checked": _("%(done)d of %(total)d rows checked"),
        "saved": _("%(done)d of %(total)d rows saved"),
    }
    while True:
        try:
            what, done, total = next(steps)
        except StopIteration as ended:
            return cast(Report, ended.value)
        if done % EVERY == 0 or done == total:
            said = words[what] % {"done": done, "total": total}
            stay = _("Leave this page open: closing it stops what is under way.") if done < total else ""
            yield format_html(PROGRESS, total, done, said, stay)


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
    noted = [line for line in report.lines if line.columns or line.kept]
    return {
        "report": report,
        "report_heading": heading,
        "tallies": [(outcome.label, report.count(outcome)) for outcome in Outcome],
        "refusals": report.refusals[:MOST],
        "more_refusals": max(len(report.refusals) - MOST, 0),
        "noted": noted[:MOST],
        "more_noted": max(len(noted) - MOST, 0),
    }
