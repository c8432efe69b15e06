"""What the clinic's procedures achieve: read-only, from the follow-ups' summaries. Whoever asks sees their own sites.

Shares stand with their denominators, and small cells are hidden (`outcomes.rates`). A report is a tree of plain values
that the admin draws, the API writes and exports repeat: the same numbers everywhere.
"""

from outcomes.reports.comparison import ComparisonReport, Group, compare_groups
from outcomes.reports.overview import OverviewReport, overview_report
from outcomes.reports.procedure import ProcedureReport, procedure_report
from outcomes.reports.response_rates import ResponseReport, response_report
from outcomes.reports.selection import Selection
from outcomes.reports.worklists import WORKLISTS, Worklist
