"""`python -m clinic.dev.embedded COMMAND…` runs a command with a throw-away PostgreSQL in its environment."""

import subprocess
import sys

from clinic.dev.embedded import ServerFailed, throwaway_environment


def main() -> int:
    """Run the command of this process's arguments in a throw-away environment; its exit code."""
    with throwaway_environment():
        try:
            return subprocess.run(sys.argv[1:]).returncode
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerFailed as failure:
        sys.exit(str(failure))
