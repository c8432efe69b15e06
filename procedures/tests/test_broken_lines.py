"""What somebody types about an appointment stays on one line."""

from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY
from procedures.services import book
from procedures.tests.factories import World


def test_a_reason_with_a_broken_line_is_refused_by_the_api(world: World) -> None:
    booked = book(world.appointment(), by=world.clerk, now=world.now)
    path = f"appointments/{booked.pk}/cancel/"
    refused = call(world.clerk, "POST", path, {"reason": "ill\r\nBcc: x@example.org"}, now=world.now)
    assert refused.status_code == 400
    assert [code for _field, code in faults(refused)] == ["control_character"]
    booked.refresh_from_db()
    assert booked.status == "booked"
    assert booked.starts_at == world.at(MONDAY, 9)
