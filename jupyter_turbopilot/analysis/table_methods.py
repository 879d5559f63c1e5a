"""What methods of tables do with columns and functions: a row for each method of pandas or polars. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Trait: TypeAlias = Literal[
    "aggregates",  # a keyword argument may be a pair of a column and a function: `total=("price", "sum")`
    "by_name",  # an argument may be the name of a function
    "calls",  # calls an argument
    "changes",  # changes the columns
    "groups",  # a list of strings may be the groups of the rows
    "joins",  # has further tables as arguments
    "keeps",  # the result has the same columns, or lets a column be selected
    "levels",  # the arguments that name columns may also name index levels
    "mostly",  # the result has most of the columns, maybe with others
    "named",  # the keyword arguments are new columns
    "of_levels",  # positional arguments refer to index levels
    "of_rows",  # the arguments refer to labels of rows
    "passes",  # calls an argument with the table, or with parts of it, such as rows
    "strict",  # refuses a dictionary with a key that is no column
]
# Method; arguments that name its columns, by position or name, as one label or as a list; arguments that are
# dictionaries whose keys are columns; traits. The argument `right_on` names columns of the other table.
_TABLE = """
    __setitem__     |                            |         | changes
    agg             |                            | 0 func  | aggregates by_name calls named strict
    aggregate       |                            | 0 func  | aggregates by_name calls named strict
    apply           |                            |         | by_name calls passes
    applymap        |                            |         | calls
    asof            |                            |         | of_rows
    assign          |                            |         | calls named passes
    astype          |                            | 0 dtype | strict
    bfill           |                            |         | mostly
    boxplot         | 0 column by                |         | groups
    clip            |                            |         | mostly
    collect         |                            |         | mostly
    copy            |                            |         | keeps
    drop            | columns                    |         |
    drop_duplicates | 0 subset                   |         | keeps
    droplevel       |                            |         | of_levels
    dropna          | subset                     |         | keeps
    duplicated      | 0 subset                   |         |
    explode         | 0 column                   |         |
    ffill           |                            |         | mostly
    fillna          |                            | 0 value | keeps
    filter          |                            |         | calls mostly
    get_group       |                            |         | of_rows
    group_by        |                            |         | mostly
    groupby         | 0 by                       |         | calls groups keeps levels
    head            |                            |         | keeps
    hist            | 0 column by                |         | groups
    insert          |                            |         | changes
    join            |                            |         | joins
    lazy            |                            |         | mostly
    map             |                            |         | calls
    map_batches     |                            |         | calls
    map_elements    |                            |         | calls
    melt            | 0 1 id_vars value_vars     |         |
    merge           | on left_on right_on        |         | joins levels
    merge_asof      |                            |         | joins
    merge_ordered   |                            |         | joins
    nlargest        | 1 columns                  |         | keeps
    nsmallest       | 1 columns                  |         | keeps
    pipe            |                            |         | calls passes
    pivot           | index columns values       |         |
    pivot_table     | 0 1 2 index columns values |         | by_name groups levels
    plot            | x y                        |         | mostly
    pop             |                            |         | changes
    query           |                            |         | keeps
    reindex         |                            |         | of_rows
    rename          |                            | columns |
    resample        |                            |         | mostly
    reset_index     |                            |         | mostly of_levels
    rolling         |                            |         | mostly
    round           |                            |         | mostly
    sample          |                            |         | keeps
    scatter         | 0 1 x y                    |         |
    set_index       | 0 keys                     |         |
    sort            |                            |         | mostly
    sort_index      |                            |         | keeps of_rows
    sort_values     | 0 by                       |         | keeps levels
    swaplevel       |                            |         | of_levels
    tail            |                            |         | keeps
    transform       |                            |         | by_name calls
    truncate        |                            |         | of_rows
    unstack         |                            |         | of_levels
    update          |                            |         | changes
    value_counts    | 0 subset                   |         | groups
    xs              |                            |         | of_rows
"""
# The keyword arguments that name columns in nearly all functions and methods.
COLUMN_KEYWORDS = frozenset(
    {"by", "col", "column", "columns", "hue", "id_vars", "index_col", "keys", "left_on", "on", "right_on",
     "row", "size", "style", "subset", "value_vars", "values", "x", "y"}
)  # fmt: skip
# Attributes of tables and columns of pandas: `frame.size` is not a column.
_DATA_FRAME = """
    T abs add agg aggregate align all any apply asfreq asof assign astype at attrs axes bfill boxplot
    clip columns combine compare copy corr corrwith count cov cummax cummin cumprod cumsum describe diff
    div divide dot drop droplevel dropna dtypes duplicated empty eq equals eval ewm expanding explode
    ffill fillna filter flags floordiv ge get groupby gt head hist iat idxmax idxmin iloc index info
    insert interpolate isetitem isin isna isnull items iterrows itertuples join keys kurt kurtosis le
    loc lt map mask max mean median melt merge min mod mode mul multiply ndim ne nlargest notna notnull
    nsmallest nunique pipe pivot plot pop pow prod product quantile query radd rank rdiv reindex rename
    replace resample rfloordiv rmod rmul rolling round rpow rsub rtruediv sample select sem shape shift
    size skew squeeze stack std style sub subtract sum swaplevel tail take transform transpose truediv
    truncate unstack update values var where xs
    add_prefix add_suffix at_time between_time case_when combine_first convert_dtypes drop_duplicates
    first_valid_index from_dict from_records infer_objects last_valid_index memory_usage pct_change
    pivot_table reindex_like rename_axis reorder_levels reset_index select_dtypes set_axis set_flags
    set_index sort_index sort_values to_clipboard to_csv to_dict to_excel to_feather to_frame to_hdf to_html
    to_json to_latex to_list to_markdown to_numpy to_orc to_parquet to_period to_pickle to_records to_sql
    to_stata to_string to_timestamp to_xarray to_xml tz_convert tz_localize value_counts
"""
DATA_FRAME_ATTRIBUTES = frozenset(_DATA_FRAME.split())


class _Method(NamedTuple):
    columns: frozenset[str]
    keys: frozenset[str]
    traits: frozenset[str]


_METHODS = {
    name.strip(): _Method(*(frozenset(part.split()) for part in parts))
    for name, *parts in (row.split("|") for row in _TABLE.strip().split("\n"))
}
_OTHER = _Method(frozenset(), frozenset(), frozenset())


def names_columns(method: str, argument: str, *, is_dict: bool = False) -> bool:
    """Return whether an argument, by number or name, names columns; with `is_dict`, by its keys."""
    row = _METHODS.get(method, _OTHER)
    return argument in (row.keys if is_dict else row.columns)


def methods(*traits: Trait) -> frozenset[str]:
    """Return the methods with one of the traits."""
    return frozenset(name for name, row in _METHODS.items() if not row.traits.isdisjoint(traits))
