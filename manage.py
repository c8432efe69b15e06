#!/usr/bin/env python3
"""The project's one command. `up` and `test` need nothing but Python 3.11: they make the rest themselves."""

import os
import sys


def main() -> None:
    from clinic.dev import bootstrap

    # For `up`, `test` and `bench`: may replace this process by the environment's Python.
    bootstrap.prepare(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as refusal:
        sys.exit(str(refusal))
    except OperationalError as fault:
        sys.exit(f"database_unreachable: The database does not answer. {fault}".strip())


if __name__ == "__main__":
    main()
