"""Lists, their actions and the questions before something is deleted: nothing is done with a row that has changed."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from clinic.admin.stale_forms import SHOWN, overtaken_step, seal, unseal
from clinic.row_versions import column_digests, one_at_a_time
from clinic.row_versions import seen as version_seen


class VersionedModelAdmin(ModelAdmin):
    """A list carries which version of each row it shows, and so does a question about several or one."""

    change_list_template: Any = "admin/clinic/change_list.html"
    delete_selected_confirmation_template: Any = "admin/clinic/delete_selected.html"

    def shown_of(self, pk: Any) -> str:
        """Names the page whose form carries a version."""
        return f"{self.opts.label_lower}:{pk or 'new'}"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """An action is done with no row that is not as the list, or its question, showed it; then with none of the
        chosen. Nor is it with rows of other pages of the list, which nobody has seen.
        """
        if request.method == "POST" and "action" in request.POST:
            if request.POST.get("select_across") == "1":
                messages.error(request, _("Nothing was done: choose on each page of the list what it shows."))
                return HttpResponseRedirect(request.get_full_path())
            with transaction.atomic():
                if old := self.old_rows(request):
                    words = _(
                        "Nothing was done: these were changed since the list was shown: %s. Look at them again."
                    )
                    messages.error(request, words % ", ".join(map(str, old)))
                    return HttpResponseRedirect(request.get_full_path())
                response = super().changelist_view(request, extra_context)
            if asked := (getattr(response, "context_data", None) or {}).get("queryset"):
                response.context_data |= self.carried(asked)  # the page that asks once more
            return response
        response = super().changelist_view(request, extra_context)
        cl = (getattr(response, "context_data", None) or {}).get("cl")
        if cl and self.get_actions(request):
            response.context_data |= self.carried(cl.result_list)
        return response

    def carried(self, rows: Iterable[Any]) -> dict[str, str]:
        """For the context of a page about several rows: which version of each it shows."""
        versions = {str(row.pk): version_seen(row) for row in rows}
        return {"shown": seal(versions, self.shown_of("list"), at=timezone.now()), "shown_name": SHOWN}

    def old_rows(self, request: HttpRequest) -> list[Any]:
        """Those of the chosen rows that are not as the list showed them."""
        shown, _at = unseal(request.POST.get(SHOWN, ""), self.shown_of("list"))
        chosen = [pk for pk in request.POST.getlist(ACTION_CHECKBOX_NAME) if pk.isdecimal()]
        for pk in sorted(map(int, chosen)):
            one_at_a_time(self.model, pk)
        rows = self.model._base_manager.filter(pk__in=chosen)
        return [row for row in rows if (shown or {}).get(str(row.pk)) != version_seen(row)]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Nothing is deleted that is not as the question about it showed it."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None or not self.has_delete_permission(request, obj):
            return super().delete_view(request, object_id, extra_context)
        of = self.shown_of(f"{obj.pk}:delete")
        if request.method == "POST":
            with transaction.atomic():
                one_at_a_time(self.model, obj.pk)
                if overtaken_step(request, obj, forms.Form(), of=of):
                    messages.error(
                        request, _("Nothing was done: this was changed meanwhile. Look at it again.")
                    )
                    return HttpResponseRedirect(request.path)
                return super().delete_view(request, object_id, extra_context)
        shown = {"shown": seal([{}, column_digests(obj)], of, at=timezone.now()), "shown_name": SHOWN}
        return super().delete_view(request, object_id, {**(extra_context or {}), **shown})
