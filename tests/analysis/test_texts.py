import ast

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.texts import values_of_column


@given(st.text())
def test_values_of_column_name_it_in_python(label: str) -> None:
    kind, code, _ = values_of_column("orders.head()", label)
    parsed = ast.parse(code, mode="eval").body
    assert kind == "values"
    assert isinstance(parsed, ast.Subscript)
    assert (ast.unparse(parsed.value), ast.literal_eval(parsed.slice)) == ("orders.head()", label)
