"""The catalogue's files: they say what they should, and the reader refuses what they must not say."""

import re
import shutil
from pathlib import Path

import pytest

from clinic.toml_pages import PagesError
from procedures.catalogue import CATEGORIES, FOLDER, Catalogue, read_catalogue

#: What the five articles that the project started from name, and the type that stands for it.
NAMED_BY_THE_SEEDS = [
    ("000", "nerve blocks", "peripheral_nerve_block"),
    ("000", "epidural steroid injections", "esi_interlaminar"),
    ("000", "epidural steroid injections", "esi_transforaminal"),
    ("000", "epidural steroid injections", "esi_caudal"),
    ("000", "radiofrequency ablation, facet joints", "rfa_facet"),
    ("000", "radiofrequency ablation, sacroiliac joints", "rfa_sacroiliac"),
    ("000", "radiofrequency ablation, peripheral nerves", "rfa_peripheral"),
    ("000", "spinal cord stimulation", "scs_implant"),
    ("000", "intrathecal drug delivery", "itp_implant"),
    ("001", "facet joint injections", "facet_joint_injection"),
    ("001", "nerve blocks to find the source of pain", "medial_branch_block"),
    ("001", "pain of the sacroiliac joint", "sacroiliac_joint_injection"),
    ("001", "pain of the sacroiliac joint", "si_lateral_branch_block"),
    ("001", "spinal cord stimulation, settings can be adapted", "neurostimulator_programming"),
    ("001", "spinal cord stimulation, a lead moves and is put back", "neurostimulator_revision"),
    ("001", "intrathecal pumps", "itp_implant"),
    ("001", "intrathecal pumps, the dose is changed", "itp_refill_adjustment"),
    ("001", "peripheral nerve stimulation", "pns_implant"),
    ("002", "nerve blocks for migraine and cluster headache", "occipital_nerve_block"),
    ("002", "injections for a painful knee", "joint_injection"),
    ("003", "nerve blocks in complex regional pain syndrome", "stellate_ganglion_block"),
    ("003", "nerve blocks in complex regional pain syndrome", "lumbar_sympathetic_block"),
    ("003", "spinal cord stimulators", "scs_trial"),
    ("004", "neuroablation", "rfa_facet"),
    ("004", "joint injections", "joint_injection"),
    ("004", "trigger point injections", "trigger_point_injection"),
    ("004", "selective nerve root blocks", "selective_nerve_root_block"),
    ("004", "adhesiolysis", "epidural_adhesiolysis"),
    ("004", "implanted pumps", "itp_trial"),
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture(scope="module")
def words() -> str:
    """Everything that the files say."""
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(FOLDER.rglob("*.toml")))


@pytest.mark.parametrize(("seed", "named", "code"), NAMED_BY_THE_SEEDS)
def test_every_procedure_that_the_seeds_name_is_there(
    catalogue: Catalogue, seed: str, named: str, code: str
) -> None:
    assert code in {page.code for page in catalogue.procedure_types}, f"seed {seed}: {named}"


def test_there_are_28_types(catalogue: Catalogue) -> None:
    assert len(catalogue.procedure_types) == 28


@pytest.mark.parametrize(
    "garbled",
    [
        *("femur", "virus", "gushing", "variability", "cancer suffering", "moving leads"),
        *("bleeding infection", "infection bleeding", "momentary worsening", "reactions to allergens"),
    ],
)
def test_the_garbled_words_of_the_seeds_are_nowhere(words: str, garbled: str) -> None:
    assert garbled not in words.lower()


@pytest.mark.parametrize(
    "meant", ["spasticity", "CRPS", "complex regional pain syndrome", "lead migration", "infection"]
)
def test_what_they_meant_is_there(words: str, meant: str) -> None:
    assert meant in words


def test_every_indication_has_the_form_of_an_icd_10_cm_code(catalogue: Catalogue) -> None:
    codes = [code for page in catalogue.procedure_types for code in page.indications]
    assert codes
    assert [code for code in codes if not re.fullmatch(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?", code)] == []


def test_no_code_that_may_not_be_shipped(words: str) -> None:
    """Five digits by themselves would be a CPT code; volumes, pages and identifiers are joined to more."""
    assert re.findall(r"(?<![\w.:;-])\d{5}(?![\w.:-])", words) == []


def test_each_type_can_be_booked_and_asked_about(catalogue: Catalogue) -> None:
    for page in catalogue.procedure_types:
        needed = [entry.category for entry in page.requires]
        assert "physician" in needed, page.code
        assert "procedure_room" in needed, page.code
        assert ("recovery_bay" in needed) == (page.duration.recovery_minutes > 0), page.code
        assert set(needed) <= CATEGORIES.keys(), page.code
        assert page.red_flags, page.code
        assert page.check_ins.days, page.code


def test_each_risk_has_a_question_or_a_reason_for_none(catalogue: Catalogue) -> None:
    for page in catalogue.procedure_types:
        for risk in page.risks:
            where = (page.code, risk.name)
            assert bool(risk.asked_by) != bool(risk.not_asked.strip()), where
            assert set(risk.asked_by) <= set(page.red_flags), where


#: What is expected after some procedures → the words by which an emergency would ask for just that.
EXPECTED = {
    ("numbness", "weakness"): r"numb|new weakness|weakness in an arm",
    ("drooping lid",): r"facial|face droop|eye",
    ("neck stiffness",): r"stiff neck",
    ("flushing",): r"\bred\b|flush",
    (
        "soreness",
        "site pain",
        "increase in pain",
        "flare",
    ): r"\bsore|steadily worsening|(?<!severe )pain at the (site|spine)",
    ("bleeding", "bruising"): r"bleed|bruise",
    ("hoarseness",): r"hoarse|swallow",
    ("dizziness", "faintness"): r"dizz|faint|light-headed",
    ("glucose",): r"sugar",
}


def test_no_mild_expected_effect_raises_an_emergency(catalogue: Catalogue) -> None:
    """By the risks' own questions, and by the words of every other emergency that the type asks about."""
    flags = {flag.code: flag for flag in catalogue.red_flags}
    for page in catalogue.procedure_types:
        emergencies = [flags[code] for code in page.red_flags if flags[code].urgency == "emergency"]
        for risk in page.risks:
            if risk.severity != "mild":
                continue
            assert not set(risk.asked_by) & {flag.code for flag in emergencies}, (page.code, risk.name)
            for names, words in EXPECTED.items():
                if any(name in risk.name for name in names):
                    for flag in emergencies:
                        asked = flag.question.replace("numb lips or tongue", "")  # no block makes these numb
                        assert not re.search(words, asked), (page.code, risk.name, flag.code)


def flags_of(catalogue: Catalogue, code: str) -> set[str]:
    return set(next(page for page in catalogue.procedure_types if page.code == code).red_flags)


def test_numbness_is_told_apart(catalogue: Catalogue) -> None:
    """Of the saddle an emergency, with the bladder; of a block that lasts too long a matter of the day."""
    flags = {flag.code: flag for flag in catalogue.red_flags}
    assert "new_numbness" not in flags
    assert (flags["bladder_bowel"].urgency, flags["lasting_numbness"].urgency) == ("emergency", "same_day")
    assert "between your legs" in flags["bladder_bowel"].question
    assert "entre las piernas" in flags["bladder_bowel"].question_es
    for page in catalogue.procedure_types:
        if any("numbness" in risk.name for risk in page.risks):
            assert "lasting_numbness" in page.red_flags, page.code


def test_bleeding_toxicity_and_blood_sugar_are_asked_about(catalogue: Catalogue) -> None:
    flags = {flag.code: flag for flag in catalogue.red_flags}
    for page in catalogue.procedure_types:
        for risk in page.risks:
            if "bleeding" in risk.name and "epidural" not in risk.name:
                assert any("bleeding" in flags[code].question for code in risk.asked_by), page.code
            if risk.name == "local anaesthetic toxicity":
                assert risk.asked_by == ("anesthetic_toxicity",), page.code
        if page.purpose == "device_implant":
            assert any("bleeding" in flags[code].question for code in page.red_flags), page.code
    for code in (
        *("occipital_nerve_block", "selective_nerve_root_block", "stellate_ganglion_block"),
        *("trigger_point_injection", "peripheral_nerve_block"),
    ):
        assert "high_glucose" in flags_of(catalogue, code), code


def test_the_questions_of_a_check_in_stay_few(catalogue: Catalogue) -> None:
    """Patients are asked all of them at every check-in of the first two weeks, by telephone too."""
    longest = max(len(page.red_flags) for page in catalogue.procedure_types)
    assert longest <= 13


@pytest.mark.parametrize(
    ("code", "indications"),
    [
        ("scs_trial", {"G56.41", "G56.42"}),
        ("scs_implant", {"G56.41", "G56.42"}),
        ("pns_trial", {"G56.41", "G56.42"}),
        ("pns_temporary", {"G56.41", "G56.42"}),
        ("pns_implant", {"G56.41", "G56.42"}),
        ("facet_joint_injection", {"M47.893", "M47.894", "M47.895"}),
        ("medial_branch_block", {"M47.893", "M47.894", "M47.895"}),
        ("rfa_facet", {"M47.893", "M47.894", "M47.895"}),
        ("esi_interlaminar", {"M51.14", "M51.360", "M51.369", "M51.370", "M51.379"}),
        ("esi_transforaminal", {"M51.14", "M51.361", "M51.362", "M51.371", "M51.372"}),
        (
            "esi_caudal",
            {"M51.360", "M51.361", "M51.362", "M51.369", "M51.370", "M51.371", "M51.372", "M51.379"},
        ),
        ("selective_nerve_root_block", {"M51.14"}),
    ],
)
def test_the_fitting_types_have_the_codes_of_their_conditions(
    catalogue: Catalogue, code: str, indications: set[str]
) -> None:
    page = next(page for page in catalogue.procedure_types if page.code == code)
    assert indications <= set(page.indications)


#: By which words a source names the route or technique of a type.
NAMES = {
    "epidural_adhesiolysis": ("adhesiolysis",),
    "esi_caudal": ("caudal",),
    "esi_interlaminar": ("interlaminar",),
    "esi_transforaminal": ("transforaminal",),
    "facet_joint_injection": ("facet",),
    "itp_implant": ("pump implant",),
    "itp_refill_adjustment": ("refill",),
    "itp_trial": ("intrathecal trial", "trial of a pump"),
    "joint_injection": ("joint",),
    "lumbar_sympathetic_block": ("lumbar sympathetic",),
    "medial_branch_block": ("medial branch",),
    "neurostimulator_programming": ("programming",),
    "neurostimulator_revision": ("revision",),
    "occipital_nerve_block": ("occipital",),
    "peripheral_nerve_block": ("genicular block",),
    "rfa_facet": ("facet", "medial branch"),
    "rfa_peripheral": ("genicular ablation",),
    "rfa_sacroiliac": ("ablation of lateral branches",),
    "sacroiliac_joint_injection": ("sacroiliac joint injection",),
    "scs_implant": ("stimulator implant",),
    "scs_trial": ("spinal cord stimulation",),
    "selective_nerve_root_block": ("root block",),
    "si_lateral_branch_block": ("lateral branch",),
    "stellate_ganglion_block": ("stellate",),
    "trigger_point_injection": ("trigger point",),
}
FIGURES = ("duration", "onset", "relief_window", "check_ins", "evaluate_after", "success")


def test_each_figure_has_a_source_of_its_technique_or_is_unconfirmed(catalogue: Catalogue) -> None:
    """Of epidural steroid in general, or of another route, is no source of this route."""
    for page in catalogue.procedure_types:
        names = NAMES.get(page.code, ("peripheral nerve stimulation",))
        for figure in FIGURES:
            said = getattr(page, figure)
            if said.source.startswith(("Working value", "Working plan")):
                assert said.confirmed is None, (page.code, figure)
            else:
                assert any(name in said.source for name in names), (page.code, figure, said.source)


@pytest.mark.parametrize(
    ("code", "figure", "says", "working"),
    [
        ("esi_transforaminal", "relief_window", "64% at 6 and still 64% at 12", False),
        ("esi_interlaminar", "relief_window", "says nothing of this route", True),
        ("esi_caudal", "relief_window", "says nothing of this route", True),
        ("rfa_peripheral", "relief_window", "a mean of 2.6 months", True),
        ("peripheral_nerve_block", "success", "no better than sham", True),
        ("itp_implant", "check_ins", "Anesthesiology 111:881-891", True),
        ("scs_implant", "success", "taken over from the trial", True),
    ],
)
def test_a_source_says_what_it_does_not_support(
    catalogue: Catalogue, code: str, figure: str, says: str, working: bool
) -> None:
    page = next(page for page in catalogue.procedure_types if page.code == code)
    source = getattr(page, figure).source
    assert says in source
    assert source.startswith("Working") == working


def test_the_source_of_nerve_stimulation_counts_less_than_its_types_ask(catalogue: Catalogue) -> None:
    """Gilmore 2021 counts 30 %; what rests on it must say so."""
    named = [
        getattr(page, figure).source
        for page in catalogue.procedure_types
        for figure in ("relief_window", "success")
        if "Gilmore 2021" in getattr(page, figure).source
    ]
    assert named
    assert all("30%" in source for source in named)


def test_a_week_of_nerve_stimulation_is_a_trial_and_sixty_days_are_a_treatment(catalogue: Catalogue) -> None:
    pages = {page.code: page for page in catalogue.procedure_types}
    trial, treatment = pages["pns_trial"], pages["pns_temporary"]
    assert (trial.purpose, trial.relief_window.until_days, trial.success.trial_days_percent) == (
        "device_trial",
        10,
        50,
    )
    window = treatment.relief_window
    assert (treatment.purpose, window.from_days, window.until_days) == ("therapeutic", 60, 420)


def test_ablation_is_expected_to_last_months_and_an_injection_weeks(catalogue: Catalogue) -> None:
    pages = {page.code: page for page in catalogue.procedure_types}
    assert (pages["rfa_facet"].relief_window.from_days, pages["rfa_facet"].relief_window.until_days) == (
        180,
        365,
    )
    assert pages["joint_injection"].relief_window.until_days == 90
    assert pages["scs_implant"].relief_window.ongoing
    assert pages["medial_branch_block"].relief_window.until_hours == 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalogue of two types, to spoil."""
    (tmp_path / "shared").mkdir()
    for name in (
        "rfa_facet.toml",
        "medial_branch_block.toml",
        "shared/red_flags.toml",
        "shared/readiness.toml",
    ):
        shutil.copy(FOLDER / name, tmp_path / name)
    return tmp_path


def spoil(folder: Path, name: str, pattern: str, replacement: str) -> list[tuple[str, str, str]]:
    """Replace the first match of `pattern` in one file; file, key and code of what the reader then refuses."""
    file = folder / name
    text, times = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
    assert times == 1, pattern
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PagesError) as refused:
        read_catalogue(folder)
    return [(problem.file, problem.key, problem.code) for problem in refused.value.problems]


def test_the_unspoilt_folder_is_read(folder: Path) -> None:
    assert [page.code for page in read_catalogue(folder).procedure_types] == [
        "medial_branch_block",
        "rfa_facet",
    ]


WINDOW = r"(\[relief_window\].*?)"


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        (WINDOW + r'source = """.*?"""\n', r"\1", ("relief_window.source", "missing")),
        (
            WINDOW + r'source = """.*?"""\n',
            r'\1source = "  "\n',
            ("relief_window.source", "blank"),
        ),
        (WINDOW + r'source = """.*?"""\n', r"\1source = 7\n", ("relief_window.source", "string_type")),
        (r"source =", "sauce =", ("duration.source", "missing")),
        (r"confirmed = false\n", "", ("duration.confirmed", "missing")),
        (r"confirmed = false", "confirmed = true", ("duration.confirmed", "dataclass_type")),
        (
            r"confirmed = false",
            'confirmed = { by = "Dr. Rao" }',
            ("duration.confirmed.on", "missing"),
        ),
        (
            r"confirmed = false",
            'confirmed = { by = "Dr. Rao", on = "May" }',
            ("duration.confirmed.on", "date_type"),
        ),
        (
            r"confirmed = false",
            'confirmed = { by = " ", on = 2027-01-15 }',
            ("duration.confirmed.by", "blank"),
        ),
        (
            r"procedure_minutes = 45",
            'procedure_minutes = "45"',
            ("duration.procedure_minutes", "int_type"),
        ),
        (
            r"procedure_minutes = 45",
            "procedure_minutes = true",
            ("duration.procedure_minutes", "int_type"),
        ),
        (
            r"procedure_minutes = 45",
            "procedure_minutes = 45.5",
            ("duration.procedure_minutes", "int_type"),
        ),
        (
            r"procedure_minutes = 45",
            "procedure_minutes = 0",
            ("duration.procedure_minutes", "greater_than_equal"),
        ),
        (r"recovery_minutes = 60\n", "", ("duration.recovery_minutes", "missing")),
        (
            r"recovery_minutes = 60",
            "recovery_minutes = -1",
            ("duration.recovery_minutes", "greater_than_equal"),
        ),
        (
            r"recovery_minutes = 60",
            "recovery_minutes = 30",
            ("requires[5].lasts_minutes", "after_the_end"),
        ),
        (
            r"recovery_minutes = 60",
            "recovery_minutes = 1440",
            ("duration.recovery_minutes", "too_long"),
        ),
        (r"\[onset\].*?(\[relief_window\])", r"\1", ("onset", "missing")),
        (r"from_days = 10", "from_days = 43", ("onset.from_days", "not_in_order")),
        (r"from_days = 180", "from_days = 366", ("relief_window.from_days", "not_in_order")),
        (r"from_days = 180", "from_days = 9", ("relief_window.from_days", "not_in_order")),
        (r"from_days = 180", "from_day = 180", ("relief_window.from_day", "unexpected_keyword_argument")),
        (r"ongoing = false", "ongoing = 0", ("relief_window.ongoing", "bool_type")),
        (
            r"ongoing = false",
            "from_hours = 2\nongoing = false",
            ("relief_window.from_hours", "go_together"),
        ),
        (r"days = \[1, 7,", "days = [1, 7, 7,", ("check_ins.days", "given_twice")),
        (r"days = \[1, 7,", "days = [7, 1,", ("check_ins.days", "not_rising")),
        (r"days = \[1, 7,", "days = [0, 7,", ("check_ins.days[1]", "greater_than")),
        (r"days = \[1, 7,", "days = [1.5, 7,", ("check_ins.days[1]", "int_type")),
        (r"days = \[1, .*?\]", "days = []", ("check_ins.days", "too_short")),
        (r"hours = \[\]", "hours = [0.3]", ("check_ins.hours[1]", "multiple_of")),
        (
            r"hours = \[\]",
            "hours = []\nevery_days_after = 0",
            ("check_ins.every_days_after", "greater_than_equal"),
        ),
        (r"percent = 50", "percent = 101", ("success.percent", "less_than_equal")),
        (r'code = "rfa_facet"', 'code = "rfa_face"', ("code", "not_the_file_name")),
        (r'code = "rfa_facet"', 'code = "RFA facet"', ("code", "not_matching")),
        (r'name = ".*?"', 'name = " "', ("name", "blank")),
        (r'name = ".*?"', r'name = "a\\u0000"', ("name", "blank")),
        (r'name = ".*?"', f'name = "{"n" * 121}"', ("name", "too_long")),
        (r'name = ".*?"\n', "", ("name", "missing")),
        (
            r'purpose = "therapeutic"',
            'purpose = "cosmetic"',
            ("purpose", "literal_error"),
        ),
        (r'"M47.812"', '"M47.8123X9"', ("indications[1]", "not_matching")),
        (r'"M47.812"', '"m47.812"', ("indications[1]", "not_matching")),
        (r'"M47.812"', '"M47.813"', ("indications", "given_twice")),
        (r'"M47.812"', "47", ("indications[1]", "string_type")),
        (r'"falls"', '"falling"', ("red_flags", "not_shared")),
        (r'"consent"', '"assent"', ("readiness", "not_shared")),
        (
            r'category = "c_arm"',
            'category = "sea_arm"',
            ("requires[3].category", "literal_error"),
        ),
        (
            r'category = "c_arm"',
            'category = "physician"',
            ("requires", "given_twice"),
        ),
        (r'severity = "mild"', 'severity = "meh"', ("risks[1].severity", "literal_error")),
        (r'name = "bleeding"', 'name = "infection"', ("risks", "given_twice")),
        (r"asked_by = \[.*?\]\n", "", ("risks[1].asked_by", "no_question")),
        (
            r"asked_by = \[.*?\]",
            "asked_by = []",
            ("risks[1].asked_by", "no_question"),
        ),
        (r"asked_by = \[.*?\]", 'not_asked = " "', ("risks[1].not_asked", "blank")),
        (r"asked_by = \[.*?\]", f'not_asked = "{"n" * 201}"', ("risks[1].not_asked", "too_long")),
        (
            r"(asked_by = \[.*?\])",
            r'\1\nnot_asked = "It passes."',
            ("risks[1].asked_by", "no_question"),
        ),
        (
            r"asked_by = \[.*?\]",
            'asked_by = ["pump_alarm"]',
            ("risks[1].asked_by", "not_asked_here"),
        ),
        (
            r"asked_by = \[.*?\]",
            'asked_by = ["new_weakness"]',
            ("risks[1].asked_by", "mild_emergency"),
        ),
        (
            r"laterality_options = \[.*?\]",
            "laterality_options = []",
            ("laterality_options", "no_side"),
        ),
        (r"\[duration\]", "[secret]\nx = 1\n[duration]", ("secret", "unexpected_keyword_argument")),
        (r"\[duration\]", "[duration", ("", "not_toml")),
    ],
)
def test_a_bad_file_is_refused_by_file_and_key(
    folder: Path, pattern: str, replacement: str, problem: tuple[str, str]
) -> None:
    problems = spoil(folder, "rfa_facet.toml", pattern, replacement)
    assert ("rfa_facet.toml", *problem) in problems


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "problem"),
    [
        (
            "shared/red_flags.toml",
            r'urgency = "emergency"',
            'urgency = "soon"',
            ("allergic_reaction.urgency", "literal_error"),
        ),
        ("shared/red_flags.toml", r'question_es = ".*?"\n', "", ("allergic_reaction.question_es", "missing")),
        (
            "shared/red_flags.toml",
            r"source = ",
            "sauce = ",
            ("allergic_reaction.source", "missing"),
        ),
        (
            "shared/readiness.toml",
            r"\nblocking = true",
            '\nblocking = "yes"',
            ("consent.blocking", "bool_type"),
        ),
        ("shared/readiness.toml", r"\[consent\]", "[Consent]", ("Consent", "not_matching")),
    ],
)
def test_a_bad_shared_file_is_refused_by_file_and_key(
    folder: Path, name: str, pattern: str, replacement: str, problem: tuple[str, str]
) -> None:
    problems = spoil(folder, name, pattern, replacement)
    assert (name, *problem) in problems


def test_everything_that_is_wrong_is_said_at_once(folder: Path) -> None:
    (folder / "shared/readiness.toml").unlink()
    spoil(folder, "medial_branch_block.toml", "percent = 80", "percent = 800")
    problems = spoil(folder, "rfa_facet.toml", "ongoing = false", "ongoing = 1")
    assert problems == [
        ("shared/readiness.toml", "", "no_file"),
        ("medial_branch_block.toml", "success.percent", "less_than_equal"),
        ("rfa_facet.toml", "relief_window.ongoing", "bool_type"),
    ]


def test_a_confirmed_figure_names_the_physician_and_the_day(folder: Path) -> None:
    file = folder / "rfa_facet.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("confirmed = false", 'confirmed = { by = "Dr. Rao", on = 2027-01-15 }', 1),
        encoding="utf-8",
    )
    confirmed = read_catalogue(folder).procedure_types[1].duration.confirmed
    assert confirmed is not None
    assert (confirmed.by, confirmed.on.isoformat()) == ("Dr. Rao", "2027-01-15")


def test_a_folder_without_a_catalogue_and_a_file_that_is_no_text_are_refused(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(PagesError, match=r"shared/red_flags\.toml: is missing\."):
        read_catalogue(tmp_path / "nowhere")
    (folder / "rfa_facet.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PagesError, match=r"rfa_facet\.toml: is not UTF-8 text\."):
        read_catalogue(folder)
