"""What happens to a made-up patient, one procedure after the other. Pure: yields visits, is told how each one worked.

The physician decides here by how the patient really is. The intervals follow the coverage rules that the catalogue
quotes (two weeks between blocks, three months of relief before a repeat); shares without a source are working values.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from random import Random

from outcomes.demo.relief_courses import SimulatedCourse


@dataclass(frozen=True)
class Visit:
    """One procedure to be booked, `wait` days after the one before; the first one's wait is not looked at.

    `intent` "" where the procedure type leaves no choice. `agent` is what the record will say was given.
    """

    code: str
    wait: int = 0
    region: str = ""
    side: str = ""
    levels: str = ""
    indication: str = ""
    intent: str = ""
    agent: str = ""


Path = Generator[Visit, SimulatedCourse, None]

STEROID = {
    "esi_transforaminal": "dexamethasone 10 mg",
    "esi_interlaminar": "triamcinolone 40 mg",
    "esi_caudal": "triamcinolone 40 mg",
}
#: The agents that are one, by their first word.
STEROIDS = ("dexamethasone", "triamcinolone")
BLOCK = "bupivacaine 0.5 %, 0.5 ml a level"
#: A block on trial that took away this much is positive (LCD L38801: 80 %).
POSITIVE = 0.8


def a_side(rng: Random) -> str:
    return rng.choice(("left", "right"))


def during_block(course: SimulatedCourse) -> float:
    """The relief an hour after the block, 0–1: what the diary is read for."""
    return course.relief(1 / 24)


def radicular(rng: Random) -> Path:
    """Epidural steroid; again when it has worn off, by another route when it did not help, then a stimulator."""
    lumbar = rng.random() < 0.8
    codes = ["esi_transforaminal", "esi_interlaminar", *(["esi_caudal"] if lumbar else [])]
    code = rng.choices(codes, (5, 3, 2)[: len(codes)])[0]
    side = a_side(rng)
    here = partial(
        Visit,
        region="lumbar" if lumbar else "cervical",
        levels=rng.choice(("L4–L5", "L5–S1") if lumbar else ("C5–C6", "C6–C7")),
        indication=rng.choice(("M54.16", "M51.16", "M48.061") if lumbar else ("M54.12", "M50.121")),
    )
    wait = failures = 0
    while failures < 2:
        sided = side if code == "esi_transforaminal" else "midline"
        course = yield here(code, wait, side=sided, agent=STEROID[code])
        if course.works(21) or course.works(90):
            wait = max(92, int(course.lasts) + rng.randint(5, 50))
        else:
            failures += 1
            code = rng.choice([other for other in codes if other != code])
            wait = rng.randint(20, 50)
    if rng.random() < 0.4:
        yield from stimulator(rng, wait=rng.randint(60, 120))


def facet(rng: Random) -> Path:
    """Two blocks two weeks apart; ablation if both were positive, again when it has worn off."""
    lumbar = rng.random() < 0.75
    here = partial(
        Visit,
        region="lumbar" if lumbar else "cervical",
        side=a_side(rng),
        levels="L3–L5" if lumbar else "C4–C6",
        indication="M47.816" if lumbar else "M47.812",
    )
    for number in range(2):
        block = yield here("medial_branch_block", rng.randint(15, 35) * number, agent=BLOCK)
        if during_block(block) < POSITIVE:
            if rng.random() < 0.6:
                yield from facet_steroid(rng, here)
            return
    wait = rng.randint(14, 40)
    while True:
        course = yield here("rfa_facet", wait)
        wait = max(200, int(course.lasts) + rng.randint(20, 70))
        if lumbar and rng.random() < 0.25:
            # Leg pain comes up in between: the two treatments' answers cannot be told apart.
            leg = rng.randint(50, 130)
            yield Visit(
                "esi_interlaminar",
                leg,
                region="lumbar",
                side="midline",
                levels="L4–L5",
                indication="M54.16",
                agent=STEROID["esi_interlaminar"],
            )
            wait = max(60, wait - leg)
        if course.lasts < 30:
            return


def facet_steroid(rng: Random, here: Callable[..., Visit]) -> Path:
    """Steroid into the same joint, repeated while it helps for two months."""
    wait = rng.randint(21, 60)
    while True:
        course = yield here("facet_joint_injection", wait, intent="therapeutic", agent="triamcinolone 20 mg")
        if course.lasts < 60:
            return
        wait = max(92, int(course.lasts) + rng.randint(5, 40))


def sacroiliac(rng: Random) -> Path:
    """A diagnostic injection; the lateral branches are tested and ablated when it was the joint."""
    here = partial(Visit, region="sacroiliac", side=a_side(rng), indication="M46.1")
    first = yield here("sacroiliac_joint_injection", intent="diagnostic", agent="lidocaine 2 %, 2 ml")
    if during_block(first) < 0.5:
        return
    block = yield here("si_lateral_branch_block", rng.randint(15, 40), agent=BLOCK)
    if during_block(block) < 0.75:
        return
    wait = rng.randint(14, 40)
    while True:
        course = yield here("rfa_sacroiliac", wait)
        if course.lasts < 30:
            return
        wait = max(200, int(course.lasts) + rng.randint(20, 70))


def stimulator(rng: Random, wait: int = 0) -> Path:
    """A trial; the implant if it took away half the pain; then programming, and a revision when the effect is lost."""
    here = partial(
        Visit,
        region="thoracic",
        levels="T8–T10",
        indication=rng.choice(("M96.1", "G89.4", "M54.16")),
    )
    trial = yield here("scs_trial", wait, side="midline")
    if not trial.works(5):
        return
    implant = yield here("scs_implant", rng.randint(21, 45), side="midline")
    device = partial(Visit, "neurostimulator_programming", region="device", indication="Z45.42")
    for pause in (rng.randint(9, 14), rng.randint(40, 70)):
        yield device(pause)
    if implant.lasts < 600:
        yield device(max(60, int(implant.lasts) - 30))
        yield here("neurostimulator_revision", rng.randint(30, 60), side="midline", indication="T85.122A")


def occipital(rng: Random) -> Path:
    """Greater occipital nerve block, not closer than three months."""
    side = a_side(rng)
    indication = rng.choice(("M54.81", "G44.019", "G43.709"))
    wait = failures = 0
    while failures < 2:
        course = yield Visit(
            "occipital_nerve_block",
            wait,
            region="head",
            side=side,
            indication=indication,
            intent="therapeutic",
            agent="lidocaine 2 %, 3 ml",
        )
        failures = 0 if course.lasts > 14 else failures + 1
        wait = max(91, int(course.lasts)) + rng.randint(3, 40)


def joint(rng: Random) -> Path:
    """Steroid into a joint, three to four times a year while it helps; for a knee then the nerves, if a block helps."""
    region = rng.choice(("knee", "knee", "hip", "shoulder"))
    side = a_side(rng)
    right = side == "right"
    here = partial(
        Visit,
        region=region,
        side=side,
        indication={
            "knee": "M17.11" if right else "M17.12",
            "hip": "M16.11" if right else "M16.12",
            "shoulder": "M19.011" if right else "M19.012",
        }[region],
    )
    wait = 0
    for _ in range(rng.randint(3, 6)):
        course = yield here("joint_injection", wait, agent="triamcinolone 40 mg")
        if course.lasts < 30:
            break
        wait = max(91, int(course.lasts) + rng.randint(10, 60))
    if region == "knee":
        block = yield here("peripheral_nerve_block", rng.randint(30, 90), intent="diagnostic", agent=BLOCK)
        if during_block(block) >= 0.5:
            yield here("rfa_peripheral", rng.randint(14, 40))


def trigger_points(rng: Random) -> Path:
    """At most three times a year, and only after six weeks of relief or for another try."""
    here = partial(
        Visit,
        region=rng.choice(("lumbar_muscle", "shoulder_girdle", "gluteal")),
        side=a_side(rng),
        indication="M79.18",
    )
    wait = 0
    for _ in range(rng.randint(2, 6)):
        course = yield here("trigger_point_injection", wait, agent="lidocaine 1 %, 4 ml")
        wait = max(122, int(course.lasts) + rng.randint(10, 40))


def sympathetic(rng: Random) -> Path:
    """A series of two to four blocks (a clinic page), then a stimulator for one in three."""
    arm = rng.random() < 0.5
    side = a_side(rng)
    code = "stellate_ganglion_block" if arm else "lumbar_sympathetic_block"
    indication = (
        ("G90.511" if side == "right" else "G90.512") if arm else "G90.521" if side == "right" else "G90.522"
    )
    here = partial(Visit, region="cervical" if arm else "lumbar", side=side, indication=indication)
    wait = 0
    for _ in range(rng.randint(2, 4)):
        yield here(code, wait, intent="therapeutic", agent="bupivacaine 0.25 %, 8 ml")
        wait = rng.randint(14, 35)
    if rng.random() < 1 / 3:
        yield from stimulator(rng, wait=rng.randint(60, 120))


def after_surgery(rng: Random) -> Path:
    """Failed back surgery: a caudal injection, then adhesiolysis or a stimulator."""
    here = partial(Visit, region="lumbar", indication="M96.1", side="midline")
    course = yield here("esi_caudal", agent=STEROID["esi_caudal"])
    wait = max(40, int(course.lasts) + 20)
    if rng.random() < 0.4:
        for _ in range(2):
            course = yield here("epidural_adhesiolysis", wait)
            wait = max(92, int(course.lasts) + rng.randint(20, 60))
    yield from stimulator(rng, wait=wait)


def pump(rng: Random) -> Path:
    """A trial; the pump if it helped; a refill every two to three months."""
    here = partial(Visit, region="lumbar", indication="G89.4")
    trial = yield here("itp_trial", side="midline", agent="morphine 0.2 mg")
    if not trial.works(0.5):
        return
    yield here("itp_implant", rng.randint(20, 50), side=a_side(rng))
    while True:
        yield here("itp_refill_adjustment", rng.randint(55, 90), region="device")


def peripheral_stimulator(rng: Random) -> Path:
    """A trial; if it took away half the pain, the implant for one in two, for the others up to 60 days of treatment."""
    here = partial(
        Visit,
        region=rng.choice(("shoulder", "lower_limb", "knee")),
        side=a_side(rng),
        indication="G89.28",
    )
    trial = yield here("pns_trial")
    if trial.works(5):
        yield here("pns_implant" if rng.random() < 0.5 else "pns_temporary", rng.randint(20, 45))


def root_block(rng: Random) -> Path:
    """Which root is it? A selective block, then epidural steroid at that root."""
    side = a_side(rng)
    here = partial(Visit, region="lumbar", side=side, levels="L5", indication="M54.16")
    block = yield here("selective_nerve_root_block", intent="diagnostic", agent=BLOCK)
    if during_block(block) < 0.5:
        return
    wait = rng.randint(14, 30)
    for _ in range(4):
        course = yield here("esi_transforaminal", wait, agent=STEROID["esi_transforaminal"])
        wait = max(92, int(course.lasts) + rng.randint(5, 50))


#: Each way with its share of the patients (working values).
PATHWAYS: dict[str, tuple[Callable[[Random], Path], int]] = {
    "radicular": (radicular, 28),
    "facet": (facet, 22),
    "joint": (joint, 12),
    "occipital": (occipital, 8),
    "trigger_points": (trigger_points, 7),
    "sacroiliac": (sacroiliac, 6),
    "root_block": (root_block, 4),
    "after_surgery": (after_surgery, 5),
    "sympathetic": (sympathetic, 3),
    "pump": (pump, 3),
    "peripheral_stimulator": (peripheral_stimulator, 2),
}
#: Those in which the first procedure is simply done again after some months.
REPEATED = ("radicular", "joint", "occipital", "trigger_points")
