"""The paper form: a code that cannot be mistyped into another patient's, no name, and the way back."""

from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from clinic.admin.stale_forms import SHOWN
from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import clock, errors, signed_in, version_on, words
from clinic.tests.factories import staff
from outcomes.models import Alert, Answer, CheckIn
from outcomes.paper_form_codes import paper_code, read_code
from outcomes.tests.factories import red_flag, to_call
from procedures.tests.factories import World

BY_CODE = "/admin/outcomes/checkin/paper/"
numbers = st.integers(1, 10**12)


@given(numbers, st.sampled_from(["{}", " {} ", "{} "]))
def test_a_code_is_read_back_however_it_is_typed(number: int, typed: str) -> None:
    code = paper_code(number)
    assert read_code(typed.format(code)) == number
    assert read_code(code.replace("-", "")) == number
    assert read_code(code.replace("-", " \u2013 ")) == number
    assert read_code("0" + code) in (number, None)


@given(numbers, st.data())
def test_one_wrong_digit_or_two_swapped_are_always_found(number: int, data: st.DataObject) -> None:
    digits = paper_code(number).replace("-", "")
    at = data.draw(st.integers(0, len(digits) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != digits[at]]))
    assert read_code(digits[:at] + other + digits[at + 1 :]) is None
    swapped = digits[:at] + digits[at : at + 2][::-1] + digits[at + 2 :]
    if swapped != digits:
        assert read_code(swapped) is None


@given(st.text(max_size=60))
def test_no_text_is_a_fault(text: str) -> None:
    number = read_code(text)
    assert number is None or number > 0


@pytest.mark.parametrize(
    "text", ["", "-", "12", "98", "0-98", "1234", "1234-5x", "9" * 40, "\u0661\u0662\u0663"]
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_code(text) is None


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_form_is_in_the_patients_language_and_names_nobody(
    world: World, client: Client, language: str
) -> None:
    red_flag(world)
    check_in, now = to_call(world, day=7, patient=world.another_patient(language=language))
    signed_in(world.clerk, client)
    with clock(now):
        response = client.get(f"/admin/outcomes/checkin/{check_in.pk}/paper/")
    told = words(response)
    assert "no-store" in response["Cache-Control"]
    assert paper_code(check_in.pk) in told
    for line in {
        "en": ("How bad is your pain right now?", "0 = no pain", "Do you have fever_chills?", "Filled in on"),
        "es": (
            "¿Cuánto le duele en este momento?",
            "0 = ningún dolor",
            "¿Tiene fever_chills?",
            "avise ahora",
        ),
    }[language]:
        assert line in told, line
    patient = check_in.follow_up.patient
    for secret in (
        *(patient.given_name, patient.family_name, patient.record_number, patient.email),
        *("Radiofrequency", "ablation", "1950"),
    ):
        assert secret not in response.content.decode(), secret


def press(client: Client, address: str, sent: dict[str, str]) -> Any:
    """What comes of pressing a page's button; once more where it has to say first that there is an answer."""
    answer = client.post(address, sent)
    return client.post(address, sent | {SHOWN: version_on(answer)}) if answer.status_code == 409 else answer


def test_the_code_leads_to_the_answers_of_that_form(world: World, client: Client) -> None:
    red_flag(world, "bladder_bowel", "emergency")
    check_in, now = to_call(world)
    signed_in(world.clerk, client)
    with clock(now):
        response = client.post(BY_CODE, {"code": f" {paper_code(check_in.pk)} "}, follow=True)
        address = response.redirect_chain[-1][0]
        assert address == f"/admin/outcomes/checkin/{check_in.pk}/answer/?channel=paper"
        assert response.context["form"]["channel"].value() == "paper"
        sent = {
            "nrs.now": "6", "nrs.average_7_days": "-", "nrs.worst_24_hours": "9", "red_flag.bladder_bowel": "-",
            "channel": "paper", "language": "es",
        }  # fmt: skip
        client.post(address, sent)
        # The same paper once more changes nothing; another answer is refused, not passed over.
        press(client, address, sent)
        other = press(client, address, sent | {"nrs.now": "1"})
    assert other.status_code == 422
    assert errors(other) == {"__all__": ["answered_already"]}
    given_back = Answer.objects.get()
    assert (given_back.channel, given_back.language, given_back.recorded_by) == ("paper", "es", world.clerk)
    assert sorted(given_back.measurements.values_list("item", "value")) == [("now", 6), ("worst_24_hours", 9)]
    assert not Alert.objects.exists()
    assert not check_in.contact_attempts.exists()  # nobody telephoned


def test_the_same_answer_again_never_loses_a_remark(world: World, client: Client) -> None:
    """What the first came without is added; another one is refused beside it, and stays in the form."""
    check_in, now = to_call(world)
    address = f"/admin/outcomes/checkin/{check_in.pk}/answer/"
    sent = {
        "nrs.now": "6",
        "nrs.average_7_days": "-",
        "nrs.worst_24_hours": "-",
        "channel": "paper",
        "language": "en",
    }
    signed_in(world.clerk, client)
    with clock(now):
        kept = []
        for remark in ("", "Sleeps\r\nwell.", "Sleeps\nwell. ", ""):
            assert press(client, address, sent | {"remark": remark}).status_code == 302
            kept.append(Answer.objects.get().remark)
        assert kept == ["", "Sleeps\nwell.", "Sleeps\nwell.", "Sleeps\nwell."]
        other = press(client, address, sent | {"remark": "Sleeps badly."})
    assert other.status_code == 422
    assert errors(other) == {"remark": ["other_remark"]}
    assert "Sleeps badly." in other.content.decode()
    assert Answer.objects.get().remark == "Sleeps\nwell."
    trail = AuditEvent.objects.get(action="check_in.remark_added")
    assert (trail.by, trail.object_id, trail.reason) == (world.clerk, check_in.pk, "")


def test_a_wrong_code_is_refused_with_a_sentence(world: World, client: Client) -> None:
    check_in, now = to_call(world)
    code = paper_code(check_in.pk)
    signed_in(world.clerk, client)
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    with clock(now):
        for typed in (wrong, paper_code(10**9), str(check_in.pk), "nonsense", "'; DROP TABLE", "\x00"):
            response = client.post(BY_CODE, {"code": typed})
            assert response.status_code == 422, typed
        response = client.post(BY_CODE, {"code": wrong})
    assert errors(response) == {"code": ["unknown_code"]}
    assert "digit by digit" in words(response)
    with clock(check_in.closes_at):
        assert errors(client.post(BY_CODE, {"code": code})) == {"code": ["closed"]}


def test_another_sites_code_is_as_unknown_as_none(world: World, client: Client) -> None:
    check_in, now = to_call(world)
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("stranger@example.org", "Front desk", elsewhere), client)
    with clock(now):
        response = client.post(BY_CODE, {"code": paper_code(check_in.pk)})
        assert errors(response) == {"code": ["unknown_code"]}
        assert client.get(f"/admin/outcomes/checkin/{check_in.pk}/paper/").status_code == 404
        signed_in(staff("manager@example.org", "Manager", world.site), client)
        assert client.get(BY_CODE).status_code == 403
        assert client.get(f"/admin/outcomes/checkin/{check_in.pk}/paper/").status_code == 403
    assert CheckIn.objects.filter(status="answered").count() == 0
