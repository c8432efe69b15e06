"""The made-up patients. Pure: a seed and a day in, the same people out, every time.

Names are put together from lists, addresses are under example.org, .com and .net, telephone numbers in 555-01xx:
all reserved for fiction. The shares without a source are working values.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from random import Random

from outcomes.demo.pathways import PATHWAYS

NAMES: Mapping[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())

#: These numbers have a part each in showing what the service must cope with.
COUPLE = (151, 152)
DECEASED, DIES = 161, 162
OPTED_OUT = (171, 172, 173)
#: The addresses of these do not exist, as the clinic learns with the first letter, so many days before the first day.
BOUNCES = {181: 48, 182: 61}
#: Newcomers whose first block is being done as the demo is made; the odd ones at Riverside.
DIARY = (5, 6, 195, 196, 197, 198)


@dataclass(frozen=True)
class Person:
    """One made-up patient, `site` and `pathway` by name.

    `joined` is how many days before the demo's first day the clinic first saw the patient, 0 for newcomers, who have
    no history yet. `answers` is the chance, 0–1, that an e-mail is answered.
    """

    number: int
    site: str
    given_name: str
    family_name: str
    born_on: date
    email: str
    phone: str
    language: str
    consented: bool
    pathway: str
    joined: int
    usual_pain: float
    answers: float
    died_on: date | None = None
    opted_out: bool = False

    @property
    def record_number(self) -> str:
        """The record number under which the patient is registered."""
        return f"DEMO-{self.number:03}"

    @property
    def newcomer(self) -> bool:
        """Whether the patient has no history here."""
        return self.joined == 0


def invent(seed: str, today: date, number: int) -> list[Person]:
    """The first `number` people of `seed`, as of `today`. More people never change the earlier ones."""
    people: list[Person] = []
    names: set[tuple[str, str]] = set()
    for n in range(1, number + 1):
        person = invent_person(seed, n, today, names)
        if n in DIARY:
            site = "riverside" if n % 2 else "desert"
            person = replace(person, site=site, phone=telephone(site, n), pathway="facet", joined=0)
        if n == COUPLE[1]:
            # A couple: one name, one address, one telephone.
            shared = ("family_name", "email", "phone", "language", "site")
            person = replace(person, **{name: getattr(people[COUPLE[0] - 1], name) for name in shared})
        people.append(person)
    return people


def invent_person(seed: str, number: int, today: date, names: set[tuple[str, str]]) -> Person:
    """The person with that number; a name that is in `names` already is drawn again."""
    for attempt in count():
        rng = Random(f"{seed}:{number}:person:{attempt}")
        hispanic = rng.random() < 0.31
        origin = "spanish" if hispanic else "english"
        given, family = (rng.choice(NAMES[f"{origin}_{part}"].split()) for part in ("given", "family"))
        if (given, family) not in names:
            break
    names.add((given, family))
    special = number in (*COUPLE, DECEASED, DIES, *OPTED_OUT, *BOUNCES)
    site = "riverside" if rng.random() < 0.52 else "desert"
    # Pain clinics see few of the young and many past fifty; nobody here is under 24 or over 93.
    age = round(rng.triangular(24, 93, 64) if rng.random() < 0.85 else rng.uniform(24, 93))
    born_on = date(today.year - age, rng.randint(1, 12), rng.randint(1, 28))
    if born_on > today.replace(year=today.year - 24, day=1):
        born_on = born_on.replace(year=born_on.year - 1)
    newcomer = not special and rng.random() < 0.17
    joined = 0 if newcomer else BOUNCES.get(number) or round(rng.triangular(40, 730, 660))
    has_email = special or number in DIARY or rng.random() > (0.05 if age < 75 else 0.2)
    domain = "net" if number in BOUNCES else rng.choice(("org", "com")) if has_email else ""
    return Person(
        number=number,
        site=site,
        given_name=given,
        family_name=family,
        born_on=born_on,
        email=f"{plain(given)}.{plain(family)}@example.{domain}" if has_email else "",
        phone=telephone(site, number),
        language="es" if hispanic and rng.random() < 0.8 else "en",
        consented=special or newcomer or number in DIARY or rng.random() > 0.07,
        pathway=rng.choices(list(PATHWAYS), [share for _, share in PATHWAYS.values()])[0],
        joined=joined,
        usual_pain=rng.gauss(7, 1.1),
        answers=willingness(age, rng),
        died_on=today - timedelta(days=joined // 2) if number == DECEASED else None,
        opted_out=number in OPTED_OUT,
    )


def willingness(age: int, rng: Random) -> float:
    """The chance that somebody of that age, in years, answers an e-mail.

    About half of all e-mails stay unanswered (working value) and the silent are younger (Norwegian
    spine registry). How strongly age counts, and that the very old answer less, are working values.
    """
    by_age = 0.36 + 0.005 * min(age - 24, 46) - 0.012 * max(0, age - 76)
    return min(0.95, max(0.02, by_age + rng.gauss(0, 0.22)))


def willing(answers: float, *, day: float, works: bool, diary: bool) -> float:
    """The chance that an e-mail of `day` is answered by somebody who answers others with the chance `answers`, 0–1.

    Diaries are answered more often, and from the second month on who is well forgets to answer (working values).
    """
    chance = answers + (0.25 if diary else 0)
    return chance * 0.9 if day > 28 and works else chance


def delay(lot: float, *, diary: bool) -> timedelta:
    """How long after the e-mail the answer comes: most within some hours, few after many days (working values)."""
    typical = timedelta(minutes=6) if diary else timedelta(hours=7)
    return typical * 2 * lot / (1.05 - lot)


def telephone(site: str, number: int) -> str:
    """A number that is kept free for fiction, in the area of the site."""
    return f"+1 {'212' if site == 'riverside' else '602'} 555 01{number % 100:02}"


def plain(name: str) -> str:
    """The name in small letters a–z, as it stands in an address."""
    letters = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub("[^a-z]", "", letters)
