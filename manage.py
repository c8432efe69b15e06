#!/usr/bin/env python3
"""The project's one command. `up` and `test` need nothing but Python 3.11: they make the rest themselves."""

import os
import sys


def main() -> None:
    from clinic import bootstrap

    bootstrap.prepare(
        sys.argv
    )  # for `up`, `test` and `bench`: may replace this process by the environment's Python
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
