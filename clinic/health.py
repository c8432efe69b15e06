"""Whether the web server in this container is well; the containers' health checks run it.

It runs every few seconds, so it asks with the standard library and never loads Django.
"""

import http.client
import os
import sys
from urllib.parse import urlsplit


def main(part: str, port: str) -> int:
    """0 when `/health/<part>` ("live" or "ready") answers 200 on this machine's `port`, else 1."""
    # Only names in ALLOWED_HOSTS are answered, and that of SITE_URL is one of them.
    name = urlsplit(os.environ.get("SITE_URL", "")).netloc or f"localhost:{port}"
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=8)
    try:
        connection.request("GET", f"/health/{part}", headers={"Host": name})
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
