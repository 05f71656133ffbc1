"""Tables as aligned text, and reports that print themselves."""

from collections.abc import Iterator

from litevision.tables import Report, Table, align_totals


class Twice(Report):
    def sections(self) -> Iterator[str | Table]:
        yield "title\n"
        yield Table({"name": "left", "n": "right"}, [("a", "1,000"), ("long name", "7")])


def test_a_report_is_its_lines_and_tables() -> None:
    assert str(Twice()) == "title\n\nname           n\na          1,000\nlong name      7"


def test_no_line_ends_with_blanks() -> None:
    table = str(Table({"name": "left", "note": "left"}, [("a", ""), ("b", "word")]))
    assert table == "name  note\na\nb     word"


def test_totals_stand_in_columns() -> None:
    lines = [("params", "7", "and more"), ("MACs", "1,234", "")]
    assert align_totals(lines) == ["params      7  and more", "MACs    1,234"]
