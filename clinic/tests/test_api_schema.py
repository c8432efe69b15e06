"""The committed description of the API is the one that the code makes, and says how every operation may refuse."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from rest_framework.test import APIClient

from procedures.tests.factories import World

COMMITTED = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def made() -> str:
    """What `manage.py spectacular` makes; it refuses when there is a warning."""
    out = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    return out.getvalue()


def test_the_committed_schema_is_up_to_date(made: str) -> None:
    assert made.strip() == COMMITTED.read_text().strip(), (
        "docs/openapi.yaml is out of date: manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml"
    )


def test_the_description_is_valid_openapi(made: str) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    faults = [
        (list(fault.absolute_path), str(fault.message))
        for fault in OpenAPIV31SpecValidator(yaml.safe_load(made)).iter_errors()
    ]
    assert faults == []


def test_every_operation_documents_its_400_and_every_post_its_key(made: str) -> None:
    schema: Any = yaml.safe_load(made)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert "400" in operation["responses"], where
            headers = [row["name"] for row in operation.get("parameters", ()) if row["in"] == "header"]
            keyed = method == "post" and not path.endswith("/token/")
            assert ("Idempotency-Key" in headers) == keyed, where
            assert not keyed or "409" in operation["responses"], where


def test_the_400s_of_the_schema_come_as_json_though_it_is_yaml(world: World) -> None:
    response = APIClient().get("/api/v1/schema/")
    assert (response.status_code, response["Content-Type"]) == (401, "application/problem+json")
    assert response.json()["code"] == "not_authenticated"


def test_every_operation_is_described_and_says_how_it_refuses(made: str) -> None:
    schema: Any = yaml.safe_load(made)
    assert len(schema["paths"]) > 20
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            assert operation.get("description"), where
            refusals = {code: body for code, body in operation["responses"].items() if code[0] == "4"}
            assert "401" in refusals, where
            assert refusals == {code: {"$ref": f"#/components/responses/{code}"} for code in refusals}, where
    for refusal in schema["components"]["responses"].values():
        assert refusal["description"]
        content = refusal["content"].pop("application/problem+json")
        shape = content["schema"].get("allOf", [content["schema"]])[0]
        assert shape == {"$ref": "#/components/schemas/Problem"}
        assert content["examples"]
        assert not refusal["content"]


def test_a_refused_import_carries_its_report(made: str) -> None:
    schema: Any = yaml.safe_load(made)
    content = schema["components"]["responses"]["422"]["content"]["application/problem+json"]
    (_, more) = content["schema"]["allOf"]
    assert more["properties"] == {"report": {"$ref": "#/components/schemas/ImportReport"}}
    assert "ImportReport" in schema["components"]["schemas"]


def test_the_description_names_the_permission(made: str) -> None:
    schema: Any = yaml.safe_load(made)
    book = schema["paths"]["/api/v1/waitlist/{id}/book/"]["post"]
    assert "`procedures.manage_waitlistentry` and `procedures.book_appointment`" in book["description"]
    perform = schema["paths"]["/api/v1/appointments/{id}/complete/"]["post"]
    assert "`procedures.perform_procedure`" in perform["description"]
