"""What procedures achieve, as JSON: the same numbers as on the admin's pages."""

from outcomes.api.reports.comparison import Comparison
from outcomes.api.reports.overview import Overview
from outcomes.api.reports.procedure import Procedure
from outcomes.api.reports.response import Response
from outcomes.api.reports.worklists import Worklists
