"""The columns that every table begins with, and those of an instant."""

from outcomes.exports.columns import Column, Shield, local


def common(way: str = "") -> list[Column]:
    """Whose row it is. `way`: the lookup from the row to its follow-up, with two underscores behind; "" for none."""
    site = f"{way}procedure__site"
    return [
        Column(
            "follow_up",
            "integer",
            "Number of the follow-up, the same in all tables",
            f"{way}pk",
            shield=Shield.CODE,
            whose="follow_up",
        ),
        Column(
            "patient",
            "integer",
            "Number of the patient in this database",
            f"{way}patient",
            shield=Shield.CODE,
            whose="patient",
        ),
        Column(
            "record_number",
            "text",
            "The patient's record number",
            f"{way}patient__record_number",
            shield=Shield.DROP,
        ),
        Column(
            "site",
            "integer",
            "Number of the site at which the procedure was performed",
            site,
            shield=Shield.CODE,
            whose="site",
        ),
        Column("site_name", "text", "Its name", f"{site}__name", shield=Shield.DROP),
        Column(
            "zone",
            "text",
            "The clock on its wall, to which local times belong (IANA)",
            f"{site}__time_zone",
            shield=Shield.DROP,
        ),
        Column(
            "procedure_type",
            "text",
            "Code of the procedure type in the catalogue",
            f"{way}procedure__procedure_type__code",
        ),
    ]


def moments(name: str, meaning: str, reads: str, way: str = "", empty: str = "") -> list[Column]:
    """An instant in UTC, and beside it what the clock on the site's wall showed; `way` as for `common`.

    Of a de-identified file the clock is left, without its distance from UTC: that would tell where the site is.
    """
    return [
        Column(f"{name}_utc", "instant", meaning, reads, unit="UTC", empty=empty, shield=Shield.DROP),
        Column(
            f"{name}_local",
            "text",
            f"{meaning}, on the clock of the site",
            (reads, f"{way}procedure__site__time_zone"),
            local,
            unit="see zone",
            empty=empty,
            shield=Shield.SHIFT,
        ),
    ]
