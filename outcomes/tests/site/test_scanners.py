"""Mail scanners and prefetchers open what an e-mail links to; some run JavaScript and click. Nothing may happen."""

import re
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from clinic import outbox
from clinic.models import AuditEvent, Site
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn, Draft
from patients.models import Patient
from procedures.models import Appointment, Baseline

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Asks for an address as prefetchers do, and waits for it.
PREFETCH = """async (address) => {
    const ask = (options) => fetch(address, { credentials: "include", redirect: "follow", ...options });
    await ask({ method: "HEAD" });
    await ask({ headers: { "X-Purpose": "preview" } });
    await new Promise((done) => {
        const link = Object.assign(document.createElement("link"), { rel: "prefetch", href: address });
        link.onload = link.onerror = done;
        document.head.append(link);
        setTimeout(done, 1000);
    });
}"""


def stored() -> dict[str, Any]:
    """All that a patient's pages can change."""
    return {
        "answers": Answer.objects.count(),
        "drafts": Draft.objects.count(),
        "alerts": Alert.objects.count(),
        "opted out": Patient.objects.filter(opted_out_at__isnull=False).count(),
        "check-ins": list(CheckIn.objects.order_by("pk").values_list("status", "remind_at", "call_at")),
        "appointments": list(Appointment.objects.order_by("pk").values_list("status", "wants_change_at")),
        "scores before": Baseline.objects.count(),
        "audited": AuditEvent.objects.count(),
    }


@pytest.mark.parametrize("asks_birth_date", [False, True])
def test_a_browser_that_clicks_every_link_changes_nothing(
    browser: Any, link: str, letters: dict[str, str], live_server: Any, settings: Any, asks_birth_date: bool
) -> None:
    """From the e-mail's HTML and its header on, with JavaScript, every link of every page that is found."""
    settings.SITE_URL = live_server.url
    Site.objects.update(quiet_from="00:00", quiet_until="00:00", asks_birth_date=asks_birth_date)
    now = timezone.now()
    services.invite_due(now=now)
    outbox.send_due(now=now)
    (message,) = mail.outbox
    html = str(message.alternatives[0][0])  # type: ignore[union-attr]
    header = re.findall("<(.+?)>", message.extra_headers["List-Unsubscribe"])
    before = stored()
    page = browser.new_context(bypass_csp=True).new_page()  # its own script may ask for anything
    page.set_default_timeout(10_000)
    page.set_content(html)
    to_see = [*page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)"), *header]
    assert len(to_see) >= 2
    to_see += [link, *letters.values()]
    to_see += [f"{link}?show=help", f"{link}?step=2", f"{link}?step=9", f"{link}stop/"]
    seen = set()
    while to_see:
        address = to_see.pop()
        if address in seen:
            continue
        seen.add(address)
        page.goto(address)
        page.evaluate(PREFETCH, address)
        for number in range(page.locator("a[href]").count()):
            page.goto(address)
            first = page.locator("a[href]").nth(number)
            target = str(first.evaluate("(one) => one.href"))
            if not target.startswith("http"):
                continue  # a telephone number
            first.dispatch_event("mouseover")
            first.click()
            page.wait_for_load_state()
            to_see.append(page.url.split("#")[0])
        page.mouse.move(5, 5)
    assert len(seen) > 8
    assert stored() == before
