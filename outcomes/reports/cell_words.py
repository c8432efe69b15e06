"""What a list of the rows behind a number of a report says: a sentence for each kind of cell, and the words in it.

Marked for translation here, translated where they are shown.
"""

from typing import Any

from django.utils.translation import gettext_noop as _

# ruff: noqa: E501  # a sentence a line
# fmt: off
WORDS: dict[str, Any] = {
    "cells": {
        "{group}": _("Follow-ups %(group)s"),
        "verdict:{verdict}": _("Follow-ups with the verdict “%(verdict)s”"),
        "month:{month}": _("Follow-ups %(month)s"),
        "satisfied:{level}": _("Follow-ups that answered %(level)s of 5 when asked how satisfied they are"),
        "at:{time}:{came}": _("Follow-ups at the check-in of %(time)s: %(came)s (with a baseline and not confounded)"),
        "curve:{curve}:{time}:all": _("Follow-ups of the curve of %(curve)s"),
        "curve:{curve}:{time}:half_is_loss": _("Follow-ups of the curve of %(curve)s, were pain exactly at the limit a loss"),
        "curve:{curve}:{time}:{known}": _("Follow-ups of the curve of %(curve)s, %(known)s on %(time)s"),
        "opioids:{opioids}": _("Follow-ups %(opioids)s"),
        "adverse:any": _("Follow-ups with an adverse event"),
        "adverse:serious": _("Follow-ups with a serious adverse event"),
        "adverse:{term}": _("Follow-ups with the adverse event “%(term)s”"),
        "adverse:worst:{severity}": _("Follow-ups whose worst adverse event is %(severity)s"),
        "events:all": _("Adverse events"),
        "events:related": _("Adverse events that were possibly caused by it"),
        "events:{term}:{severity}": _("Adverse events “%(term)s”, %(severity)s"),
        "events:{term}:serious": _("Adverse events “%(term)s”, serious"),
        "alerts:{alerts}": _("Alerts raised in the last %(days)s days%(alerts)s"),
        "asked:recent:{lately}": _("Check-ins %(lately)s in the last %(days)s days"),
        "asked:all:{asked}": _("Check-ins that %(asked)s"),
        "asked:day:{time}:{asked}": _("Check-ins, %(time)s: they %(asked)s"),
        "asked:minute:{time}:{asked}": _("Check-ins, %(time)s: they %(asked)s"),
        "asked:language:{language}:{asked}": _("Check-ins, %(language)s: they %(asked)s"),
        "asked:age:{age}:{asked}": _("Check-ins, %(age)s: they %(asked)s"),
        "asked:channel:{channel}:{asked}": _("Check-ins, %(channel)s: they %(asked)s"),
    },
    "group": {
        "procedures": _("of all procedures"),
        "tests": _("of all tests"),
        "tests_positive": _("of the positive tests"),
        "tests_negative": _("of the negative tests"),
        "tests_indeterminate": _("of the indeterminate tests"),
        "trials": _("of all trials"),
        "trials_passed": _("of the trials that passed"),
        "trials_failed": _("of the trials that failed"),
        "trials_indeterminate": _("of the indeterminate trials"),
        "treated": _("of all that were treated"),
        "no_baseline": _("without a pain score above 0 before the procedure"),
        "confounded": _("of which another treatment of the same region cannot be told apart"),
        "evaluable": _("with a baseline and not confounded"),
        "due": _("of which a check-in from the first day of judgement on fell due"),
        "answered": _("that answered something from the first day of judgement on"),
        "in_curve": _("that stand in the curve of all treated"),
        "responders": _("that stand in the curve of responders"),
        "satisfied": _("that said how satisfied they are"),
    },
    "came": {
        "due": _("it fell due"),
        "answered": _("it was answered"),
        "asked": _("it fell due before the course ended"),
        "silent": _("nobody answered"),
        "again": _("the patient had been treated again"),
        "again_in_relief": _("treated again, in relief before it"),
        "again_out_of_relief": _("treated again, out of relief before it"),
        "again_not_asked": _("treated again, pain before it not known"),
        "explanted": _("the device had been taken out"),
        "transferred": _("another clinic treated the patient"),
        "other_care": _("the patient had gone another way"),
        "died": _("the patient had died"),
        "thirty": _("at least 30 % less pain"),
        "fifty": _("at least 50 % less pain"),
        "success": _("as much less pain as counts for the procedure"),
        "two_points": _("at least 2 points less"),
        "told": _("the impression of change was told"),
        "improved": _("much or very much improved"),
        "peg": _("PEG known before and then"),
        "change_1": _("1 of 7 was chosen as the impression of change"),
        "change_2": _("2 of 7 was chosen as the impression of change"),
        "change_3": _("3 of 7 was chosen as the impression of change"),
        "change_4": _("4 of 7 was chosen as the impression of change"),
        "change_5": _("5 of 7 was chosen as the impression of change"),
        "change_6": _("6 of 7 was chosen as the impression of change"),
        "change_7": _("7 of 7 was chosen as the impression of change"),
    },
    "curve": {
        "all_treated": _("all treated"),
        "responders": _("responders only"),
    },
    "known": {
        "known_in": _("known to be in relief"),
        "known_out": _("known to have lost it"),
        "unknown": _("not known"),
    },
    "opioids": {
        "took": _("whose patient took an opioid on the day of the procedure"),
        "countable": _("whose opioids can be compared"),
        "halved": _("with at least half the opioids less"),
        "stopped": _("with no opioid any more"),
    },
    "month": {
        "lost_early": _("whose relief was found lost early this month, or possibly so, and still is"),
        "no_relief": _("found without relief this month, and still so"),
    },
    "alerts": {
        "raised": _(""),
        "resolved": _(" and resolved"),
        "acted": _(" that somebody acted on"),
    },
    "asked": {
        "due": _("fell due"),
        "answered": _("were answered"),
    },
    "lately": {
        "due": _("due or answered"),
        "answered": _("answered"),
    },
}
# fmt: on
