"""Keeps secrets and health out of the log.

A log line may say which row and what kind of fault; it never carries an exception's own text (SMTP and database
errors quote addresses and values), a traceback's variables, a patient's link, or what somebody searched for.
"""

import logging
import re
import sys
from types import TracebackType

#: The token of a patient's link or a calendar feed, wherever a library puts a path or a URL.
TOKEN = re.compile(r"(/(?:c|a|u|p|calendar)/)[^/\s\"']+")
#: What follows the question mark of a path or a URL: searches hold names.
QUERY = re.compile(r"(/[^\s?\"']*\?)[^\s\"']+")
#: Anything that looks like an e-mail address.
ADDRESS = re.compile(r"[^\s<>\"'@=]+@[^\s<>\"'@,;]+\.[A-Za-z]{2,}")
#: Where libraries put an exception or its text.
FAULTS = ("exc_info", "exception", "error", "reason")


def scrub(text: str) -> str:
    """`text` without tokens of patients' links, without queries and without e-mail addresses."""
    return ADDRESS.sub("[address]", QUERY.sub(r"\1[query]", TOKEN.sub(r"\1[token]", text)))


class ScrubFilter(logging.Filter):
    """Scrubs a record's message and reduces an exception to its type and the places it passed."""

    def filter(self, record: logging.LogRecord) -> bool:
        fault = fault_of(record)
        record.exc_info = record.exc_text = record.stack_info = None
        if isinstance(record.msg, dict):
            record.msg = {
                key: scrub(value) if isinstance(value, str) else value
                for key, value in record.msg.items()
                if key not in FAULTS
            }
            if fault:
                record.msg |= {"fault": type(fault).__name__, "at": places(fault.__traceback__)}
        else:
            message = record.getMessage()
            if fault:
                # Some put the exception's text into the message as well.
                for said in (repr(fault), str(fault)):
                    message = message.replace(said, "…") if said else message
                message += f" ({type(fault).__name__} at {places(fault.__traceback__)})"
            record.msg = scrub(message)
            record.args = ()
        return True


def fault_of(record: logging.LogRecord) -> BaseException | None:
    """The exception that the record tells of; None when it tells of none."""
    told: object = record.exc_info
    if isinstance(record.msg, dict):
        told = told or record.msg.get("exc_info") or record.msg.get("exception")
    if isinstance(told, tuple):
        told = told[1]
    if told is True:
        told = sys.exc_info()[1]
    return told if isinstance(told, BaseException) else None


def places(trace: TracebackType | None) -> str:
    """Where an exception passed, innermost last: "services.py:41 book > db/utils.py:105 …"."""
    steps = []
    while trace is not None:
        code = trace.tb_frame.f_code
        steps.append(f"{'/'.join(code.co_filename.split('/')[-2:])}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(steps[-6:])
