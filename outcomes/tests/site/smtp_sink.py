"""A mail server that goes wrong on purpose. `python -m outcomes.tests.site.smtp_sink FILE SEED` runs it.

What happens to whom is drawn from the seed and the recipient's address alone, so it is the same in whatever order the
e-mails come. FILE gets one JSON object a line for everything that the test has to know; the first one names the port.
"""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from random import Random

from aiosmtpd.smtp import SMTP, Envelope, Session

#: What may happen to an address: its share of all addresses, and how often it happens before e-mail is taken.
#: "for ever" is more often than anybody tries.
FOR_EVER = 99
FATES = {
    "refuse": (0.02, FOR_EVER),  # 550 to the recipient
    "reject": (0.01, FOR_EVER),  # 554 to the message
    "later": (0.04, 2),  # 451 to the recipient
    "busy": (0.01, 1),  # 421 to the recipient, and good-bye
    "drop": (0.01, 1),  # the connection breaks before the message is taken
    "hang": (0.004, 1),  # no reply at all
    "lose": (0.01, 1),  # the message is taken, and the connection breaks before the reply
    "mute": (0.004, 1),  # the message is taken, and no reply comes
}
REPLIES = {"refuse": "550 <{}> is unknown", "later": "451 later, <{}>", "busy": "421 <{}> must wait"}


def fate(seed: str, address: str) -> str:
    """What happens to e-mail for this address: a key of FATES, or "take"."""
    lot = Random(f"{seed} {address}").random()
    for name, (share, _) in FATES.items():
        if lot < share:
            return name
        lot -= share
    return "take"


@dataclass
class Sink:
    """The hooks that aiosmtpd calls. `told`: how often each address has met its fate."""

    file: Path
    seed: str
    told: Counter[str]

    def note(self, **event: object) -> None:
        """Write one event down before anybody can learn of it."""
        with self.file.open("a") as out:
            print(json.dumps(event), file=out)

    def strikes(self, address: str, *names: str) -> str:
        """The fate of this address if it is one of `names` and strikes this time; "" otherwise."""
        name = fate(self.seed, address)
        if name not in names or self.told[address] >= FATES[name][1]:
            return ""
        self.told[address] += 1
        return name

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        name = self.strikes(address, "refuse", "later", "busy", "hang")
        if name:
            self.note(event=name, to=address)
        if name == "hang":
            await asyncio.sleep(3600)  # until the sender has had enough and hangs up
        if name:
            return REPLIES[name].format(address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: "Door", session: Session, envelope: Envelope) -> str:
        (to,) = envelope.rcpt_tos
        name = self.strikes(to, "reject", "drop", "lose", "mute")
        if name in ("reject", "drop"):
            self.note(event=name, to=to)
        else:
            assert isinstance(envelope.content, bytes)
            message_id = message_from_bytes(envelope.content)["Message-ID"]
            server.last_taken = message_id
            self.note(event="taken", to=to, id=message_id, reply=name or "250")
        if name == "mute":
            await asyncio.sleep(3600)
        if name in ("drop", "lose"):
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return f"554 no such thing for <{to}>" if name == "reject" else "250 OK"

    async def handle_QUIT(self, server: "Door", session: Session, envelope: Envelope) -> str:
        server.last_taken = ""
        return "221 Bye"


class Door(SMTP):
    """One connection. `last_taken`: the message that was taken as the last thing before the end, if one was."""

    last_taken = ""

    async def smtp_MAIL(self, arg: str) -> None:
        self.last_taken = ""
        await super().smtp_MAIL(arg)

    def connection_lost(self, error: Exception | None) -> None:
        if self.last_taken:
            self.event_handler.note(event="cut_off", id=self.last_taken)
        super().connection_lost(error)


async def serve(file: Path, seed: str) -> None:
    sink = Sink(file, seed, Counter())
    server = await asyncio.get_running_loop().create_server(lambda: Door(sink), "127.0.0.1", 0)
    sink.note(event="open", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
