"""The sign-in of the front desk: it waits after too many wrong passwords, and knows its browsers again."""

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.forms import AdminOwnPasswordChangeForm

from clinic import services
from clinic.admin import kept_forms
from clinic.models import User
from clinic.sign_in_limits import MOST_OF_ACCOUNT, SECONDS, TooManyTries, remember_browser
from clinic.throttling import forget_tries, one_more_try

django_login = admin.site.login


def login(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """Django's sign-in; status 429 where no more may be tried. What was typed before it comes back after it."""
    kept = request.POST.get(kept_forms.NAME, "")
    response: HttpResponse = django_login(request, {"kept": kept, **(extra_context or {})})
    if request.method != "POST":
        return response
    if isinstance(response, TemplateResponse):
        form = (response.context_data or {}).get("form")
        if form is not None and form.has_error("__all__", "throttled"):
            response.status_code = 429
            response["Retry-After"] = str(SECONDS)
    elif isinstance(request.user, User):
        if kept and admin.site.has_permission(request):
            response = cast(HttpResponse, kept_forms.show(request, kept) or response)
        remember_browser(response, request.user.email, path=reverse("admin:login"))
    return response


def sign_in_page(request: HttpRequest, back: str, kept: str) -> HttpResponse:
    """The sign-in page, that leads to `back`, in answer to a form that somebody signed out has sent: it keeps that."""
    address = f"{reverse('admin:login')}?{urlencode({REDIRECT_FIELD_NAME: back})}"
    request.method = "GET"
    response: HttpResponse = django_login(request, {"kept": kept, "app_path": address})
    response["Cache-Control"] = "no-store, private"
    return response


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """A password that somebody gives themselves, having said the old one: guessing that counts as signing in does."""

    def clean_old_password(self) -> str:
        tries = f"own_password_{self.user.pk}"
        if not one_more_try(tries, most=MOST_OF_ACCOUNT, seconds=SECONDS):
            raise TooManyTries
        said: str = super().clean_old_password()
        forget_tries(tries)
        return said

    def save(self, commit: bool = True) -> User:
        password = self.cleaned_data["new_password1"]
        return services.set_password(self.user, password, by=self.user, now=timezone.now())


def own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    """The page on which everybody changes their own password. Their other sessions and their API tokens end."""
    return PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse("admin:password_change_done"),
        template_name=admin.site.password_change_template or "registration/password_change_form.html",
        extra_context={**admin.site.each_context(request), **(extra_context or {})},
    )(request)


# Replaced for the whole site: Django offers no other way once a site is there, and its stubs know of none.
admin.site.login_template = "admin/clinic/login.html"
admin.site.login = login  # type: ignore[method-assign]
admin.site.password_change = own_password  # type: ignore[method-assign,assignment]
