"""Keeps secrets and health out of the log.

A log line may say which row and what kind of fault; it never carries an exception's own text (SMTP and database
errors quote addresses and values) and never a patient's link.
"""

import logging
import re

#: The token of a patient's link, wherever a library puts a path or a URL.
TOKEN = re.compile(r"(/c/)[^/\s\"']+")
#: Anything that looks like an e-mail address.
ADDRESS = re.compile(r"[^\s<>\"'@=]+@[^\s<>\"'@,;]+\.[A-Za-z]{2,}")


def scrub(text: str) -> str:
    """`text` without tokens of patients' links and without e-mail addresses."""
    return ADDRESS.sub("[address]", TOKEN.sub(r"\1[token]", text))


class Scrub(logging.Filter):
    """Scrubs a record's message and reduces an exception to its type and the places it passed."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            record.msg = {
                key: scrub(value) if isinstance(value, str) else value for key, value in record.msg.items()
            }
            record.msg.pop("exception", None)
        else:
            record.msg = scrub(record.getMessage())
            record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            record.msg = (
                record.msg | {"fault": record.exc_info[0].__name__, "at": places(record)}
                if isinstance(record.msg, dict)
                else f"{record.msg} ({record.exc_info[0].__name__} at {places(record)})"
            )
            record.exc_info = None
            record.exc_text = None
        return True


def places(record: logging.LogRecord) -> str:
    """Where the record's exception passed, innermost last: "services.py:41 book < db/utils.py:105 …"."""
    steps = []
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        code = trace.tb_frame.f_code
        steps.append(f"{'/'.join(code.co_filename.split('/')[-2:])}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(steps[-6:])
