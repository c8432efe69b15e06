"""The front desk: what every page shares, and the pages of the ground floor.

The admin is an edge: a page says who is asking and what time it is, asks the service whether it would refuse, and
calls it. Nothing that a role and a site do not allow is listed, offered or opened.
"""

from django.contrib import admin

from clinic.admin import audit_log, sending_pauses, session_expired, sign_in, sites, staff
from clinic.admin.base import Offers

# Replaced for the whole site: Django offers no other way once a site is there, and its stubs know of none.
admin.site.index_template = "admin/clinic/index.html"
admin.site.autocomplete_view = Offers.as_view(admin_site=admin.site)  # type: ignore[assignment,method-assign]
admin.site.admin_view = session_expired.signed_in_first(admin.site.admin_view)  # type: ignore[method-assign,assignment]
admin.site.extra_urls = session_expired.pages  # type: ignore[attr-defined]
audit_log.OutgoingEmailAdmin.pages.append(sending_pauses.address())
