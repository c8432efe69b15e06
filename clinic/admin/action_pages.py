"""A page with one form that does one thing: most steps of the front desk are taken on such a page."""

import json
import secrets
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from clinic.admin.base import show_refusal, staff, tell
from clinic.admin.form_data import shown_by
from clinic.admin.kept_forms import TOKEN, forget, resumed_message, typed_before
from clinic.admin.session_expired import not_pressed, safe
from clinic.admin.stale_forms import SHOWN, StalePage, overtaken_step, seal, unseal
from clinic.models import SentRequest
from clinic.row_versions import SEEN, column_digests, digest, one_at_a_time

#: Refusals after which nothing that could be typed would help: the reader is shown how things stand.
FINAL = frozenset({"not_allowed_now", "resolved_already", "revoked_already"})


class ActionPage(PermissionRequiredMixin, FormView):  # type: ignore[type-arg]
    """One form, one service. A subclass says which row, which form, which service and what is said.

    Who lacks `permission_required` gets 403; a row out of sight is 404, the same as one that does not exist. Only POST
    acts, with what the reader has seen as it stands (`clinic.admin.stale_forms`), and the same click once. What is
    refused is shown on the form, with everything typed still there. Afterwards the reader is where the address says in
    `next`, else on the row's page. Who was signed out finds the form as it was typed after signing in again.
    """

    #: See `clinic.admin.kept_forms`.
    keeps_typed = True
    raise_exception = True
    template_name = "admin/clinic/action_page.html"
    form_class: Any = forms.Form
    #: Of what the page is; also the first part of its name.
    model: ClassVar[type[models.Model]]
    #: The last part of its name and, unless `address` says otherwise, of its address below the model's.
    name: ClassVar[str] = ""
    address: ClassVar[str] = ""
    #: There is no page: a button beside the row acts at once.
    button = False
    #: What the page and its button are called; `submit` "": as the page.
    title: Any = ""
    submit: Any = ""
    #: What is said when it is done.
    done: Any = ""
    danger = False
    #: Takes the row's number, what the form says, `by` and `now`.
    service: ClassVar[Callable[..., Any]]

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.by, self.now = staff(request), timezone.now()

    # What a subclass says of its row.

    def get_queryset(self) -> "models.QuerySet[Any]":
        """The rows that the user may see."""
        rows: models.QuerySet[Any] = admin.site.get_model_admin(self.model).get_queryset(self.request)
        return rows

    @cached_property
    def row(self) -> Any:
        """What the page is about."""
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def versioned_row(self) -> models.Model | None:
        """The row whose current version the form must carry; None where something new is made."""
        row: models.Model = self.row
        return row

    def unavailable_reason(self) -> Any:
        """Why nothing can be done here now, "" where it can: who opens the page is told, and taken back."""
        return ""

    def lead(self) -> Any:
        """The line below the title: which row it is."""
        return str(self.row)

    def home(self) -> str:
        """Where one is taken back to when the address does not say: the row's page."""
        return reverse(f"admin:{self.model._meta.label_lower.replace('.', '_')}_change", args=[self.row.pk])

    def values(self, form: Any) -> dict[str, Any]:
        """What the service is told."""
        values: dict[str, Any] = form.cleaned_data
        return values

    def act(self, form: Any) -> Any:
        """Do it. Raises what the service raises."""
        return type(self).service(self.row.pk, **self.values(form), by=self.by, now=self.now)

    def url_after(self, result: Any) -> str:
        """Where to go when `act` has returned `result`."""
        return self.back

    def tell_done(self, form: Any) -> None:
        """Say what was done."""
        messages.success(self.request, str(self.done))

    # What every page does.

    @cached_property
    def back(self) -> str:
        """Where the reader came from, if it is one of our pages; else `home`."""
        return next_page(self.request) or self.home()

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.button:
            return not_pressed(request)
        self.versioned_row()
        if why_not := self.unavailable_reason():
            return self.leave(why_not)
        if typed_before(request):
            messages.warning(request, resumed_message())
            if not self.typed_by_reader():
                forget(request)
        return self.page(self.get_form())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            one_at_a_time(SentRequest, self.click)
            versioned_row, form = self.versioned_row(), self.get_form()
            if (address := self.done_before(versioned_row)) is not None:
                form.is_valid()
                self.tell_done(form)
                return HttpResponseRedirect(address)
            if versioned_row is not None and (stale := self.missed(versioned_row, form)):
                return self.overtaken(form, stale)
            if not form.is_valid():
                return self.invalid(form)
            try:
                result = self.act(form)
            except ValidationError as refusal:
                return self.refused(form, refusal)
            response = self.answer(form, result)
            if isinstance(response, HttpResponseRedirect):
                self.remember(response["Location"], versioned_row)
            return response

    def missed(self, versioned_row: models.Model, form: Any) -> StalePage | None:
        """What the sender has not seen of the row; None: nothing."""
        return missed(self.request, versioned_row, form)

    def shown(self, form: Any) -> list[Any]:
        """What the page shows, for it to carry."""
        return [
            shown_by(form),
            column_digests(versioned_row) if (versioned_row := self.versioned_row()) is not None else {},
        ]

    def answer(self, form: Any, result: Any) -> HttpResponse:
        """Say that it is done, and go on."""
        self.tell_done(form)
        return HttpResponseRedirect(self.url_after(result))

    def overtaken(self, form: Any, stale: StalePage) -> HttpResponse:
        """The page once more with what it missed; where nothing can be typed, the page that shows how things stand."""
        if not form.fields:
            return self.leave(in_a_line(stale))
        return self.page(form, status=409, stale=stale)

    def invalid(self, form: Any) -> HttpResponse:
        """The page once more, with what is wrong beside each field."""
        return self.page(form, status=422)

    def refused(self, form: Any, refusal: ValidationError) -> HttpResponse:
        """The same with what the service says; where nothing that could be typed would help, the reader is led back."""
        if not form.fields or getattr(refusal, "code", None) in FINAL:
            tell(self.request, refusal)
            return HttpResponseRedirect(self.back)
        show_refusal(form, refusal, getattr(form, "names", {}))
        return self.page(form, status=422)

    def leave(self, why: Any) -> HttpResponse:
        """Back, with the reason why nothing was done."""
        messages.error(self.request, str(why))
        return HttpResponseRedirect(self.back)

    def page(self, form: Any, *, status: int = 200, **context: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form, **context), status=status)

    def get_form_kwargs(self) -> dict[str, Any]:
        given: dict[str, Any] = super().get_form_kwargs()
        if typed_before(self.request):
            given["data"] = self.request.POST
        return given

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        form = given["form"]
        return {
            **admin.site.each_context(self.request),
            "media": form.media,
            "back": self.back,
            "here": self.request.get_full_path(),
            "title": self.title,
            "submit": self.submit or self.title,
            "danger": self.danger,
            "lead": self.lead(),
            "opts": self.model._meta,
            **carried(self.request, self.versioned_row(), self.shown(form), again="stale" in given),
            **super().get_context_data(**given),
        }

    def typed_by_reader(self) -> bool:
        """Whether the form that comes back after signing in was opened by who has signed in."""
        carried_by, _at = unseal(
            self.request.POST.get(SHOWN, ""), shown_of(self.request, self.versioned_row())
        )
        return bool(carried_by) and carried_by[2] == self.by.pk

    # The same click once.

    @cached_property
    def click(self) -> str:
        """Names this click: who sends what from which page. What is typed anew into the same page is another one."""
        sent = [[name, values] for name, values in sorted(self.request.POST.lists()) if name != TOKEN]
        text = json.dumps([self.by.pk, self.request.get_full_path(), sent])
        return f"page {sha256(text.encode()).hexdigest()}"

    def done_before(self, versioned_row: models.Model | None) -> str | None:
        """Where this very click has led, when it was made before and the row stands as that left it; else None."""
        if SHOWN not in self.request.POST and SEEN not in self.request.GET:
            return None
        made = SentRequest.objects.filter(by=self.by, key=self.click).exclude(answer=None).first()
        address, after = json.loads(made.answer or "[]") if made else (None, None)
        return address if after == version_of(versioned_row) else None

    def remember(self, address: str, versioned_row: models.Model | None) -> None:
        """Write down where this click has led, and how it has left the row."""
        answer = json.dumps([address, version_of(versioned_row)])
        row = {"fingerprint": self.click[5:], "at": self.now, "answer": answer}
        SentRequest.objects.update_or_create(by=self.by, key=self.click, defaults=row)


def next_page(request: HttpRequest) -> str:
    """The page to go back to, as the address says in `next`; "" where it says none of ours."""
    page = request.GET.get("next", "")
    return page if safe(page) and page.startswith(reverse("admin:index")) else ""


def paths(*pages: type[ActionPage]) -> list[URLPattern]:
    """The addresses of pages, below that of their model."""
    return [
        path(
            page.address or f"<int:pk>/{page.name}/",
            admin.site.admin_view(page.as_view()),
            name=f"{page.model._meta.label_lower.replace('.', '_')}_{page.name}",
        )
        for page in pages
    ]


# What a page carries of what it shows.


def version_of(row: models.Model | None) -> str:
    """The version of a row that stands; "" for none."""
    return digest(column_digests(row)) if row is not None else ""


def missed(request: HttpRequest, row: models.Model, form: forms.Form | None = None) -> StalePage | None:
    """What the page or the button that `request` sends has missed of `row`; the form then holds what to show instead.

    None: nothing, and until the transaction ends nobody changes the row by a door that carries a version.
    """
    one_at_a_time(type(row), row.pk)
    return overtaken_step(request, row, form or forms.Form(), of=shown_of(request, row))


def carried(
    request: HttpRequest, row: models.Model | None, shown: list[Any], *, again: bool = False
) -> dict[str, str]:
    """For the context of a page about `row`: what is `shown` on it, and to whom. `again`: as it stands by now."""
    sent = "" if again else request.POST.get(SHOWN, "")
    shown = [*shown, staff(request).pk, secrets.token_urlsafe(6)]  # no two pages carry the same
    return {
        "shown": sent or seal(shown, shown_of(request, row), at=timezone.now()),
        "shown_name": SHOWN,
    }


def in_a_line(stale: StalePage) -> str:
    """What was missed, for a message, where no form stands that could show it."""
    told = [
        f"{change.label}: {change.before} → {change.now}"
        + (f" ({change.by}, {change.at})" if change.by else "")
        for change in stale.changes
    ]
    words = _("Nothing was done: this was changed while you had it open. Look, then press the button again.")
    return " ".join([str(words), *(told or stale.who)])


def shown_of(request: HttpRequest, row: models.Model | None) -> str:
    """Names the page of one step with a row; None: of something new."""
    which = f"{row._meta.label_lower}:{row.pk}:" if row is not None else ""
    return f"{which}{request.path}"
