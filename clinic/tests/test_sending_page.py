"""The page on which a person decides what goes out after a restore, and who is told that nothing does."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from clinic import outbox, restores
from clinic.admin.stale_forms import SHOWN
from clinic.models import AuditEvent, OutgoingEmail, SendingPause, Site
from clinic.restores import outside_copy
from clinic.tests.admin_client import clock, queries, signed_in
from clinic.tests.api_client import call
from clinic.tests.restored_database import ahead, file, queued
from procedures.tests.factories import World

PAGE = "/admin/clinic/outgoingemail/sending/"
BANNER = 'id="sending-paused"'


def press(world: World, do: str, user: Any = None, **more: Any) -> Any:
    with clock(world.now):
        return signed_in(user or world.admin).post(PAGE, {"do": do, **more})


def email(key: str) -> OutgoingEmail:
    return OutgoingEmail.objects.get(key=key)


def test_every_page_of_the_desk_says_that_nothing_is_sent(restored: World) -> None:
    pages = [reverse("admin:index"), reverse("admin:patients_patient_changelist"), PAGE]
    pages.append(reverse("admin:patients_patient_change", args=[restored.patient.pk]))
    for page in pages:
        assert BANNER in signed_in(restored.admin).get(page).content.decode(), page
    assert PAGE in signed_in(restored.clerk).get(pages[0]).content.decode()
    assert PAGE not in signed_in(restored.physician).get(pages[0]).content.decode()
    assert BANNER not in Client().get("/admin/login/").content.decode()


def test_no_page_says_so_while_everything_goes_out(sending: World) -> None:
    assert BANNER not in signed_in(sending.admin).get("/admin/").content.decode()
    assert signed_in(sending.admin).get(PAGE).context["pause"] is None


def test_the_page_lists_what_probably_went_out_and_what_goes_out(restored: World) -> None:
    with clock(restored.now):
        context = signed_in(restored.admin).get(PAGE).context
    assert [row["what"] for row in context["doubtful"]["rows"]] == ["lost"]
    assert [row["what"] for row in context["ready"]["rows"]] == ["new", "booked"]


def test_only_an_administrator_decides(restored: World) -> None:
    for user in (restored.clerk, restored.physician, restored.nurse):
        assert press(restored, "mark_all", user, own="yes").status_code == 403
    assert signed_in(restored.physician).get(PAGE).status_code == 403
    assert email("lost").status == "queued"
    assert "mark_all" not in signed_in(restored.clerk).get(PAGE).content.decode()


def test_all_that_probably_went_out_is_marked_and_sending_goes_on(restored: World) -> None:
    press(restored, "mark_all", own="yes")
    assert (email("lost").status, restores.why_paused()) == ("sent", None)
    assert outbox.send_due(now=restored.now)["sent"] == 2
    assert AuditEvent.objects.get(action="sending.resumed").by == restored.admin


def test_all_that_probably_went_out_is_sent_again(restored: World) -> None:
    press(restored, "send_all", own="yes")
    assert outbox.send_due(now=restored.now)["sent"] == 3


def test_what_is_ticked_is_decided_about_and_sending_stays_paused(restored: World) -> None:
    press(restored, "mark", email=[email("lost").pk, email("new").pk])
    assert [email(key).status for key in ("lost", "new", "booked")] == ["sent", "sent", "queued"]
    assert restores.why_paused() is not None
    assert outbox.send_due(now=restored.now)["sent"] == 0
    press(restored, "go_on", own="yes")
    assert outbox.send_due(now=restored.now)["sent"] == 1


def test_what_is_not_decided_about_waits_and_is_still_on_the_page(restored: World) -> None:
    press(restored, "go_on", own="yes")
    assert outbox.send_due(now=restored.now)["sent"] == 2
    context = signed_in(restored.admin).get(PAGE).context
    assert (context["pause"], context["doubtful"]["count"]) == (None, 1)
    press(restored, "send_all")
    assert outbox.send_due(now=restored.now)["sent"] == 1


@pytest.mark.parametrize("do", ["mark_all", "send_all", "go_on"])
def test_nothing_goes_on_before_somebody_says_that_this_is_no_copy(restored: World, do: str) -> None:
    press(restored, do)
    assert email("lost").status == "queued"
    assert restores.why_paused() is not None


def test_what_came_after_the_page_was_shown_is_not_decided_about(restored: World) -> None:
    page = signed_in(restored.admin).get(PAGE).context
    queued(restored, "later", now=restored.now, due_at=restored.now - 2 * timedelta(hours=1))
    press(restored, "mark_all", own="yes", **{SHOWN: page["shown"]})
    assert [email(key).status for key in ("lost", "later")] == ["sent", "queued"]


def test_a_page_of_another_pause_does_nothing(restored: World) -> None:
    page = signed_in(restored.admin).get(PAGE).context
    press(restored, "go_on", own="yes")
    ahead()
    outbox.send_due(now=restored.now)
    press(restored, "mark_all", own="yes", **{SHOWN: page["shown"]})
    assert email("lost").status == "queued"
    press(restored, "mark_all", own="yes", **{SHOWN: "forged"})
    assert email("lost").status == "queued"


def test_nonsense_is_no_fault(restored: World) -> None:
    for sent in ({"email": ["x", "9" * 30, "-1"]}, {"text": ["²"]}):
        assert press(restored, "mark", **sent).status_code == 302
    assert press(restored, "dance").status_code == 302
    assert email("lost").status == "queued"


def test_each_sees_and_decides_about_their_own_sites(restored: World) -> None:
    other = Site.objects.create(name="Elsewhere", time_zone="America/New_York", phone="+1 212 555 0199")
    OutgoingEmail.objects.filter(key="lost").update(site=other)
    assert signed_in(restored.clerk).get(PAGE).context["doubtful"]["count"] == 0
    assert signed_in(restored.admin).get(PAGE).context["doubtful"]["count"] == 1


def test_the_page_asks_as_often_however_much_waits(restored: World) -> None:
    desk = signed_in(restored.admin)
    few = queries(lambda: desk.get(PAGE))
    for number in range(5):
        queued(restored, f"more {number}", now=restored.now, due_at=restored.now - timedelta(hours=2))
    assert queries(lambda: desk.get(PAGE)) == few


def test_a_copy_that_cannot_be_written_says_so_and_asks_for_no_decision(
    sending: World, settings: Any
) -> None:
    file().unlink()
    outside_copy.folder().rmdir()
    outside_copy.folder().write_text("")
    queued(sending, "next", now=sending.now)
    outbox.send_due(now=sending.now)
    with clock(sending.now):
        response = signed_in(sending.admin).get(PAGE)
    assert response.context["pause"].reason == SendingPause.Reason.COPY_UNREACHABLE
    assert 'value="go_on"' not in response.content.decode()
    assert [row["what"] for row in response.context["ready"]["rows"]] == ["next"]


# Other doors.


def troubles_of(world: World) -> list[tuple[str, str]]:
    """What /health/jobs says about sending, with the reason."""
    with clock(world.now):
        said = Client().get("/health/jobs").json()["troubles"]
    return [(row["code"], row["detail"]) for row in said if row["code"] == "sending_paused"]


def test_api_and_health_say_that_sending_is_paused(restored: World) -> None:
    said = call(restored.clerk, "GET", "sending/", now=restored.now).json()
    assert (said["paused"], said["reason"]) == (True, "counter_behind")
    assert (said["probably_sent"], said["waiting"]) == (1, 2)
    assert call(restored.physician, "GET", "sending/", now=restored.now).status_code == 403
    assert troubles_of(restored) == [("sending_paused", "counter_behind")]
    press(restored, "mark_all", own="yes")
    assert not troubles_of(restored)
    said = call(restored.clerk, "GET", "sending/", now=restored.now).json()
    assert (said["paused"], said["reason"], said["since"]) == (False, None, None)


def test_the_command_says_and_decides_the_same(restored: World) -> None:
    out = StringIO()
    call_command("sending", stdout=out)
    assert "counter_behind" in out.getvalue()
    for by in ({}, {"by": "nobody@example.org"}, {"by": restored.clerk.email}):
        with pytest.raises(CommandError):
            call_command("sending", go_on="mark", **by)
    assert email("lost").status == "queued"
    call_command("sending", go_on="mark", by=restored.admin.email, stdout=StringIO())
    assert email("lost").status == "sent"
    assert AuditEvent.objects.get(action="sending.resumed").by == restored.admin
    with pytest.raises(CommandError, match="not_paused"):
        call_command("sending", go_on="hold", by=restored.admin.email, stdout=StringIO())


def test_the_tick_by_hand_says_that_nothing_was_sent(restored: World) -> None:
    out = StringIO()
    call_command("tick", now=restored.now.isoformat(), stdout=StringIO(), stderr=out)
    assert "counter_behind" in out.getvalue()
    assert email("new").status == "queued"


def test_trying_again_in_the_admin_waits_too(restored: World) -> None:
    OutgoingEmail.objects.filter(key="lost").update(status="failed")
    data = {"action": "try_again", "_selected_action": [email("lost").pk]}
    with clock(restored.now):
        signed_in(restored.admin).post("/admin/clinic/outgoingemail/", data)
    assert email("lost").status == "queued"
    assert outbox.send_due(now=restored.now)["sent"] == 0
