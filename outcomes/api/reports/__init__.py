"""What procedures achieve, as JSON: the same numbers as on the admin's pages."""

from outcomes.api.reports.comparison import ComparisonView
from outcomes.api.reports.overview import OverviewView
from outcomes.api.reports.procedure import ProcedureView
from outcomes.api.reports.response import ResponseRatesView
from outcomes.api.reports.worklists import Worklists
