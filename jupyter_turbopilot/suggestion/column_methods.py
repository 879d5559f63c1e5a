"""The arguments of tables' methods that name columns, in pandas and libraries that take its tables. Pure."""

from __future__ import annotations

# The arguments of a table's methods that name its columns: by position or name, as one label or as a list.
_COLUMNS = {
    "boxplot": "0 column by",
    "drop": "columns",
    "drop_duplicates": "0 subset",
    "dropna": "subset",
    "duplicated": "0 subset",
    "explode": "0 column",
    "groupby": "0 by",
    "hist": "0 column by",
    "melt": "0 1 id_vars value_vars",
    "merge": "on left_on right_on",  # the last names columns of the other table
    "nlargest": "1 columns",
    "nsmallest": "1 columns",
    "pivot": "index columns values",
    "pivot_table": "0 1 2 index columns values",
    "plot": "x y",
    "scatter": "0 1 x y",
    "set_index": "0 keys",
    "sort_values": "0 by",
    "value_counts": "0 subset",
}
# The arguments that are dictionaries whose keys are columns.
_KEYS = {
    "agg": "0 func",
    "aggregate": "0 func",
    "astype": "0 dtype",
    "fillna": "0 value",
    "rename": "columns",
}
# The keyword arguments that name columns in nearly all functions and methods.
COLUMN_KEYWORDS = frozenset(
    {"by", "col", "column", "columns", "hue", "id_vars", "index_col", "keys", "left_on", "on", "right_on",
     "row", "size", "style", "subset", "value_vars", "values", "x", "y"}
)  # fmt: skip
# Methods whose result has the same columns, or lets a column be selected.
KEEPING = frozenset(
    {"copy", "drop_duplicates", "dropna", "fillna", "groupby", "head", "nlargest", "nsmallest", "query",
     "sample", "sort_index", "sort_values", "tail"}
)  # fmt: skip


def names_columns(method: str, argument: str, *, is_dict: bool = False) -> bool:
    """Return whether an argument, by number or name, names columns; with `is_dict`, by its keys."""
    table = _KEYS if is_dict else _COLUMNS
    return argument in table.get(method, "").split()
