"""The pytest plugin that gives the tests a throw-away PostgreSQL, unless DATABASE_URL names one.

It has to act before pytest-django loads the settings, which happens before any `conftest.py` is read. The
workers of pytest-xdist inherit the environment and start nothing.
"""

import os
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from clinic.dev.embedded import ServerFailed, throwaway_environment


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    asked = early_config.known_args_namespace
    if asked.collectonly or asked.help or asked.version:
        os.environ.setdefault("DATABASE_URL", "postgresql:///nowhere")  # nothing will connect
    os.environ["DATABASE_CONN_MAX_AGE"] = "0"  # a live server's threads must not outlive their test
    stack = ExitStack()
    early_config.add_cleanup(stack.close)
    try:
        stack.enter_context(throwaway_environment())
    except ServerFailed as failure:
        raise pytest.UsageError(str(failure)) from failure
    return (yield)
