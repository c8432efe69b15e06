"""Alerts: the list of what somebody must look at, and a page for each with the steps that close it."""

from outcomes.admin.alerts import actions, model_admin
