"""Morphine milligram equivalents (MME) of opioids, by one published table. Pure: plain values in, plain values out.

An MME is an estimate that makes doses of different opioids comparable in statistics. It must never be used to switch a
patient from one opioid to another; methadone (long, variable half-life) and fentanyl patches need special care; the
factors are not meant for the treatment of opioid use disorder.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol


class Drug(StrEnum):
    """The opioids of the table, and two that have no factor."""

    CODEINE = "codeine"
    FENTANYL_PATCH = "fentanyl_patch"
    HYDROCODONE = "hydrocodone"
    HYDROMORPHONE = "hydromorphone"
    METHADONE = "methadone"
    MORPHINE = "morphine"
    OXYCODONE = "oxycodone"
    OXYMORPHONE = "oxymorphone"
    TAPENTADOL = "tapentadol"
    TRAMADOL = "tramadol"
    BUPRENORPHINE = "buprenorphine"
    OTHER = "other"


class Unit(StrEnum):
    """What a dose is counted in: milligrams in a day, or micrograms in an hour, which is how patches are labelled."""

    MG_A_DAY = "mg/day"
    MCG_AN_HOUR = "mcg/h"


class LeftOut(StrEnum):
    """Why an opioid is not in a total."""

    NO_FACTOR = "no_factor"
    INTRATHECAL = "intrathecal"


@dataclass(frozen=True)
class FactorTable:
    """One published table of factors.

    `factors`: MME a day for each mg a day; of the fentanyl patch for each mcg an hour, with no further division. A drug
    that is missing has no factor. `confirmed`: the physician who stands by it and when; "" while nobody does.
    """

    version: str
    source: str
    confirmed: str
    factors: Mapping[Drug, Decimal]


CDC_2022 = FactorTable(
    version="CDC-2022",
    source=(
        "CDC Clinical Practice Guideline for Prescribing Opioids for Pain, 2022: conversion factors, read in a reprint "
        "(GlobalRPh), the same in three public code bases"
    ),
    confirmed="",
    factors=MappingProxyType(
        {
            Drug.CODEINE: Decimal("0.15"),
            Drug.FENTANYL_PATCH: Decimal("2.4"),
            Drug.HYDROCODONE: Decimal("1.0"),
            Drug.HYDROMORPHONE: Decimal("5.0"),
            Drug.METHADONE: Decimal("4.7"),
            Drug.MORPHINE: Decimal("1.0"),
            Drug.OXYCODONE: Decimal("1.5"),
            Drug.OXYMORPHONE: Decimal("3.0"),
            Drug.TAPENTADOL: Decimal("0.4"),
            Drug.TRAMADOL: Decimal("0.2"),
        }
    ),
)

#: MME a day from which lists may be narrowed: filters, no advice. Source: the text of CDC's guideline of 2016.
THRESHOLDS = (50, 90)


def units_of(drug: Drug) -> tuple[Unit, ...]:
    """What a dose of the drug may be counted in. Without a factor either will do: it is only written down."""
    if drug == Drug.FENTANYL_PATCH:
        return (Unit.MCG_AN_HOUR,)
    if drug in (Drug.BUPRENORPHINE, Drug.OTHER):
        return (Unit.MG_A_DAY, Unit.MCG_AN_HOUR)
    return (Unit.MG_A_DAY,)


def why_left_out(drug: Drug, *, intrathecal: bool, table: FactorTable = CDC_2022) -> LeftOut | None:
    """Why the drug cannot be counted; None when it can. What goes into the spinal fluid has no factor in any table."""
    if intrathecal:
        return LeftOut.INTRATHECAL
    return None if drug in table.factors else LeftOut.NO_FACTOR


def per_day(
    drug: Drug, dose: Decimal, unit: Unit, *, intrathecal: bool = False, table: FactorTable = CDC_2022
) -> Decimal | None:
    """MME a day of `dose`, the whole dose of a day in `unit`, exact; None when there is no factor.

    Raises ValueError for a unit in which the drug is not counted.
    """
    if unit not in units_of(drug):
        raise ValueError(f"{drug} is not counted in {unit}")
    if why_left_out(drug, intrathecal=intrathecal, table=table):
        return None
    return dose * table.factors[drug]


class OpioidRow(Protocol):
    """What a total needs of a row of `patients.models.OpioidUse`. `until_on`: the last day; None: still taken."""

    @property
    def drug(self) -> str: ...
    @property
    def intrathecal(self) -> bool: ...
    @property
    def from_on(self) -> date: ...
    @property
    def until_on(self) -> date | None: ...
    @property
    def mme_per_day(self) -> Decimal | None: ...


@dataclass(frozen=True)
class MmeTotal:
    """The opioids of one day.

    `mme`: MME a day of those that are counted, an estimate; 0 when nothing is taken; None when something is taken and
    nothing of it can be counted. `left_out`: the drugs that are not in it, each with the reason.
    """

    mme: Decimal | None
    counted: int
    left_out: tuple[tuple[Drug, LeftOut], ...]


def holding(rows: Iterable[OpioidRow], day: date) -> list[OpioidRow]:
    """Of one patient's rows those that count on `day`: the first and the last day of a row included.

    On the day of a change the new dose holds: a row that ends on `day` yields to one of the same drug and route that
    begins on it, if it began earlier than that one or that one goes on for longer. Another drug takes nothing's place:
    both may have been taken.
    """
    taken = [row for row in rows if row.from_on <= day and (row.until_on is None or row.until_on >= day)]
    begun = [row for row in taken if row.from_on == day]
    return [
        row
        for row in taken
        if row.until_on != day
        or not any(
            (new.drug, new.intrathecal) == (row.drug, row.intrathecal)
            and (row.from_on < day or new.until_on is None or new.until_on > day)
            for new in begun
        )
    ]


def total_on(rows: Iterable[OpioidRow], day: date) -> MmeTotal:
    """The total of a patient's rows on `day`, of those that hold on it.

    `rows`: those that stand, none that was entered in error. What each was worth when it was written down counts.
    """
    taken = holding(rows, day)
    counted = [row.mme_per_day for row in taken if row.mme_per_day is not None]
    left_out = tuple(
        (Drug(row.drug), LeftOut.INTRATHECAL if row.intrathecal else LeftOut.NO_FACTOR)
        for row in taken
        if row.mme_per_day is None
    )
    return MmeTotal(
        mme=None if left_out and not counted else sum(counted, Decimal(0)),
        counted=len(counted),
        left_out=left_out,
    )
