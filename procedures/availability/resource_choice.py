"""Which resources serve an appointment that begins at a given second: one a need, none of them twice at once. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HeldResource:
    """A resource that would be held for one requirement; `category` is the name of what was required."""

    resource_id: int
    name: str
    category: str


@dataclass
class Server:
    """A resource that could serve a need, and the starts that it allows: closed spans in seconds, in order."""

    held: HeldResource
    lows: list[int]
    highs: list[int]

    @property
    def resource_id(self) -> int:
        return self.held.resource_id

    def allows(self, at: int) -> bool:
        """Whether it is there and free for an appointment that starts at `at`."""
        position = bisect_right(self.lows, at) - 1
        return position >= 0 and at <= self.highs[position]


@dataclass
class ResourceNeed:
    """A requirement, held from `after` to `until` seconds after the start, and all who could serve it, by name."""

    category: str
    after: int
    until: int
    servers: list[Server] = field(default_factory=list)

    @property
    def ids(self) -> set[int]:
        """The resources that could serve it."""
        return {server.resource_id for server in self.servers}


def contested(want: ResourceNeed, other: ResourceNeed) -> bool:
    """Whether there is a resource that could serve both, and not both at once."""
    at_once = other is not want and other.after < want.until and other.until > want.after
    return at_once and not want.ids.isdisjoint(other.ids)


def choose(
    wants: Sequence[ResourceNeed], order: Sequence[int], rivals: Sequence[Sequence[int]], at: int
) -> tuple[HeldResource, ...] | None:
    """One server a need for a start at `at`, none of them twice at once; None when there is not one for each.

    `rivals`: for each need, the needs with which it is `contested`.
    """
    chosen: list[Server | None] = [None] * len(wants)
    for number in order:
        taken = [server.resource_id for rival in rivals[number] if (server := chosen[rival])]
        for server in wants[number].servers:
            if server.allows(at) and server.resource_id not in taken:
                chosen[number] = server
                break
        else:
            return None
    return tuple(server.held for server in chosen if server)
