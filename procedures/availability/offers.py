"""What one site has to offer, and the slots made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clinic.models import Site
from procedures.availability.clock_changes import OffsetPeriod, on_grid
from procedures.availability.resource_choice import HeldResource, ResourceNeed, choose, contested


@dataclass(frozen=True)
class Slot:
    """A time at which an appointment can begin: [starts_at, ends_at) in UTC, its end that of recovery.

    `resources`: what would be held if nobody else books first, one a requirement, in the requirements' order. The
    spans of the holds follow from the requirements and may begin earlier (set-up) and end later (turnover).
    """

    starts_at: datetime
    ends_at: datetime
    site: Site
    resources: tuple[HeldResource, ...]

    @property
    def wall(self) -> datetime:
        """The start on the site's wall clock, as an aware datetime in the site's zone."""
        return self.starts_at.astimezone(self.site.zone)


@dataclass
class Offer:
    """One site: the starts that are left when every need is met, and its needs in order."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    wants: dict[int, ResourceNeed] = field(default_factory=dict)

    @property
    def serving(self) -> set[int]:
        """Every resource that could serve at all."""
        return {resource_id for want in self.wants.values() for resource_id in want.ids}

    def slots(
        self, site: Site, rank: int, stretches: Sequence[OffsetPeriod], lasts: timedelta
    ) -> Iterator[tuple[datetime, int, Slot]]:
        """The site's slots in order, each behind its start and the site's rank, made as they are asked for."""
        wants = list(self.wants.values())
        # As `booking_checks.choose_resources`: needs with the fewest candidates choose first, and the candidates come
        # by name.
        order = sorted(range(len(wants)), key=lambda number: len(wants[number].servers))
        rivals = [
            [other for other in order if contested(wants[number], wants[other])]
            for number in range(len(wants))
        ]
        for at in on_grid(self.spans, stretches, site.grid_minutes):
            held = choose(wants, order, rivals, at)
            if held is not None:
                starts_at = datetime.fromtimestamp(at, UTC)
                yield starts_at, rank, Slot(starts_at, starts_at + lasts, site, held)
