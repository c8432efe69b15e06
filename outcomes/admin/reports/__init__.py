"""Reports and worklists at the front desk: what `outcomes.reports` counts, drawn."""

from django.contrib import admin
from django.urls import path

from outcomes.admin.follow_ups import FollowUpAdmin
from outcomes.admin.reports.clinic import clinic_page
from outcomes.admin.reports.comparison import compare_page
from outcomes.admin.reports.procedure import report_page
from outcomes.admin.reports.response_rates import response_page
from outcomes.admin.reports.worklists import worklists_page

FollowUpAdmin.pages += [
    path(f"{address}/", admin.site.admin_view(view), name=f"outcomes_followup_{name}")
    for address, name, view in (
        ("reports/clinic", "clinic", clinic_page),
        ("reports/procedures", "report", report_page),
        ("reports/compare", "compare", compare_page),
        ("reports/response", "response", response_page),
        ("worklists", "worklists", worklists_page),
    )
]
