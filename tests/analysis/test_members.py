import pytest

from jupyter_turbopilot.analysis.members import Member, member_at
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.util.bounds import LONGEST_CELL, MOST_CODE, Operations, counted_operations


def at(text: str, *others: Cell) -> Member | None:
    request = Completion(
        language="r", cells=[*others, Cell(source=text)], active=len(others), offset=len(text)
    )
    return member_at(request)


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("df$p", Member("df$", "p", must_exist=False)),
        ("x <- df$", Member("df$", "", must_exist=True)),
        ("mean(my.df$pr", Member("my.df$", "pr", must_exist=True)),
        ("print(df$`unit c", Member("df$", "`unit c", must_exist=True)),
        ("y <- person@na", Member("person@", "na", must_exist=True)),
        ("df <- df[df$", Member("df$", "", must_exist=True)),
        ("if (x) df$c", Member("df$", "c", must_exist=False)),
        ("x <- 1; df$c", Member("df$", "c", must_exist=False)),
        ("1 -> df$c", Member("df$", "c", must_exist=False)),
    ],
)
def test_member_at_returns_the_object_and_the_typed_part(text: str, member: Member) -> None:
    assert at(text) == member


@pytest.mark.parametrize(
    "text",
    [
        "df",
        "df$",
        "if (x) df$",
        "{ df$",
        "1 -> df$",
        "x <- df$price ",
        "x$df$",
        "f(x)$",
        "df[[1]]$",
        ".data$",
        "# df$",
        "grepl('df$",
        "",
        "$",
    ],
)
def test_member_at_returns_none_elsewhere(text: str) -> None:
    assert at(text) is None


@pytest.mark.parametrize(
    "line",
    [
        "df <- read.csv('a.csv')",
        "df = read.csv('a.csv')",
        "read.csv('a.csv') -> df",
        "df$new <- 1",
        "names(df) <- 'a'",
        "df[, new := 1]",
        "df %<>% mutate(a = 1)",
        "g <- function(df) {",
        "g <- function(x,\n  df) {",
        "g <- function(x = c(1, 2), df) {",
        "if (f(a(b(c)))) df = c",
        "x = df = g()",
        "df\n  <- g()",
        'assign("df", 1)',
        "rm(df)",
        "colnames(df)[colnames(df) == 'a'] = 'b'",
        "df[is.na(df$a), 'new'] = 1",
        "setnames(df, 'a', 'b')",
        "read.csv('a.csv') ->\n  df",
        "for (df in tables) {",
    ],
)
def test_member_at_returns_none_if_the_object_may_change(line: str) -> None:
    assert at(f"{line}\nx <- df$") is None
    assert at(f"{line}; x <- df$") is None


@pytest.mark.parametrize(
    "line",
    [
        "x <- df$price",
        "my.df <- 1",
        "df2 <- df",
        "df$a == 1",
        "f <- function(x) df",
        "aggregate(df$a, by = list(df$b), FUN = mean)",
    ],
)
def test_member_at_ignores_lines_that_only_use_the_object(line: str) -> None:
    assert at(f"{line}\nx <- df$") is not None


def test_member_at_ignores_changes_by_executed_cells() -> None:
    assert at("x <- df$", Cell(source="df$a <- 1", executed=True)) is not None
    assert at("x <- df$", Cell(source="df$a <- 1", executed=False)) is None
    assert at("x <- df$", Cell(source="df$a <- 1", type="markdown")) is not None


def test_member_at_scans_each_cell_once() -> None:
    first, second = Cell(source="once <- 1\n" * 100), Cell(source="twice <- 1\n" * 200)

    def count(text: str, *others: Cell) -> float:
        with counted_operations(operations := Operations()):
            at(text, *others)
        return operations.count

    assert count("above <- 1\nx <- scanned$p", first, second) > 3000 // 8
    assert count("above <- 1\nx <- scanned$pr", first, second) < 50, "only the line of the cursor is scanned"
    assert count("above <- 1\nx <- scanned$pr", first, Cell(source="third <- 1\n")) < 50


@pytest.mark.parametrize(("count", "length"), [(1, LONGEST_CELL + 1), (MOST_CODE // 2**14, 2**14)])
def test_member_at_returns_none_below_long_code(count: int, length: int) -> None:
    assert at("x <- df$", *[Cell(source="x" * length)] * (count - 1)) is not None
    assert at("x <- df$", *[Cell(source="x" * length)] * count) is None


@pytest.mark.parametrize("language", ["python", "julia"])
def test_member_at_knows_r_alone(language: str) -> None:
    request = Completion(language=language, cells=[Cell(source="x <- df$")], offset=8)
    assert member_at(request) is None
