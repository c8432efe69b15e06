"""A made-up clinic whose patients' relief is known, in the database: the rows and the curve are those that
`outcomes.simulation.curves` takes them to be, of which docs/simulation.md tells with many more."""

from datetime import UTC, date, datetime, timedelta
from math import inf

import pytest

from outcomes import services
from outcomes.demo.clinic import Place, build
from outcomes.models import CheckIn, CourseSummary, FollowUp
from outcomes.reports import Selection, procedure_report
from outcomes.reports.counts import ENDED_AFTER, ENDED_BY, KNOWN_END
from outcomes.reports.curves import DRAWS, SEED
from outcomes.reports.drill_down import rows_behind
from outcomes.schedule import DAY
from outcomes.simulation.curves import Habits, Played, as_reported, clinic, counted_interval, planned, truth
from outcomes.survival import bands
from patients.models import Patient
from procedures import catalogue
from procedures import services as procedures
from procedures.models import Appointment, Procedure, ProcedureType
from procedures.services.catalogue_loader import load

BEGIN_ON = date(2027, 1, 4)
FIRST = Selection(performed_from=BEGIN_ON, performed_until=BEGIN_ON)
NOW = datetime(2030, 1, 7, tzinfo=UTC)


@pytest.fixture
def place(db: None) -> Place:
    """A site without quiet hours, open every day, whose clock never changes."""
    load(catalogue.read_catalogue(), by=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    return build().places["desert"]


def perform(place: Place, kind: ProcedureType, patient: Patient, at: datetime, pain: int) -> Procedure:
    """A procedure of this patient, with the pain before it."""
    by = place.doctors[0][0].user
    appointment = Appointment.objects.create(
        patient=patient,
        procedure_type=kind,
        site=place.site,
        starts_at=at,
        ends_at=at + timedelta(minutes=kind.total_minutes),
        intent="therapeutic",
        region=kind.regions[0],
        laterality=(kind.laterality_options or [""])[0],
        created_at=at - timedelta(days=1),
    )
    record = procedures.Performed(performed_at=at, baseline_pain=pain, performer=by)
    return procedures.perform(appointment.pk, record, by=by, now=at)


def live(place: Place, kind: ProcedureType, number: int, person: Played) -> FollowUp:
    """Write down what this patient answered, what nobody answered, and when the treatment was repeated."""
    begin = place.at(BEGIN_ON, 9)
    patient = Patient.objects.create(
        record_number=f"SIM-{number:05}",
        given_name="Sim",
        family_name=f"Number{number}",
        born_on=date(1960, 1, 1),
        site=place.site,
        email=f"sim{number}@example.org",
        consented_at=begin - timedelta(days=1),
        created_at=begin - timedelta(days=1),
    )
    assert person.known.baseline is not None
    follow_up = perform(place, kind, patient, begin, person.known.baseline).follow_up
    asked = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED)
    for answer in person.answers:
        services.store_answer(
            asked.get(offset_minutes=answer.planned * DAY).pk,
            values={"nrs.now": answer.pain},
            channel="email",
            language="en",
            by=None,
            now=begin + timedelta(days=answer.came),
        )
    over = begin + timedelta(days=person.again[0]) if person.again else NOW
    silent = asked.filter(status__in=CheckIn.OPEN, closes_at__lte=over)
    silent.update(status=CheckIn.Status.MISSED)
    if person.again:
        perform(place, kind, patient, over, person.again[1])
    return services.update_verdict(follow_up.pk, now=NOW)


@pytest.mark.parametrize("code", ["rfa_facet", "esi_transforaminal"])
def test_a_clinic_in_the_database_has_the_rows_and_the_curve_of_the_made_up_one(
    place: Place, code: str
) -> None:
    """With some who are treated again after the plan is over, and before anybody could be silent."""
    kind = ProcedureType.objects.get(code=code)
    place.site.smallest_cell = 1
    place.site.save()
    people = clinic(code, "in the database", 24, Habits(truthful=True, again=0.5))
    lived = {live(place, kind, number, person).pk: person for number, person in enumerate(people)}

    rows = CourseSummary.objects.filter(pk__in=lived, lost_after__isnull=False)
    kept = rows.annotate(known=KNOWN_END).values_list("pk", "lost_after", "known", "responded")
    assert {pk: tuple(known) for pk, *known in kept} == {
        pk: (told.after, told.ended_by, told.responded)
        for pk, person in lived.items()
        if (told := person.told)
    }
    ends = rows.annotate(begins=ENDED_AFTER, ends=ENDED_BY).values_list("pk", "begins", "ends")
    assert {pk: (begins, inf if end is None else end) for pk, begins, end in ends} == {
        pk: counted_interval(person.told, code) for pk, person in lived.items() if person.told
    }

    doctor = place.doctors[0][0].user
    assert doctor
    report = procedure_report(FIRST, user=doctor, now=NOW)
    curve = report.curves[0]
    last = planned(code)[-1]
    data = as_reported(people, code)
    assert (curve.total, curve.told_until) == (data.total, last)
    assert curve.places[-1].at == min(curve.until, last)
    band = bands(data, [at.at for at in curve.places], draws=DRAWS, seed=SEED)
    assert [(at.low, at.high, at.band_low, at.band_high) for at in curve.places] == [
        pytest.approx(each, abs=1e-6)
        for each in zip(band.low, band.high, band.band_low, band.band_high, strict=True)
    ]
    assert curve.window
    for at in filter(None, curve.window):
        least, most = truth(code, [at.at])
        assert at.band_low <= most[0]
        assert least[0] <= at.band_high
        for name, number in (("known_in", at.known_in), ("known_out", at.known_out)):
            cell = f"curve:all_treated:{at.at:.0f}:{name}"
            assert rows_behind(FIRST, cell, doctor, now=NOW).count() == number
