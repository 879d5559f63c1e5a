"""Texts of any length that are hard for patterns and parsers."""

from collections.abc import Callable

_REPEATED = (
    "a", "1", "_", "é", "e\u0301", " ", "\t", "\n", "\r\n", " \n", "\n ", "(", "[", "{", ")", "()", "[]", "([{",
    '"', "'", "`", "''", '"""', "'''", "\\", "\\\n", '\\"', "#", "#\n", "# ", "%", "%%", "!", "?", "? ", "x?\n",
    "=", "a=", "a = ", "a,", "a, ", "a.", "a in ", "a b ", ":", "a:", "://", "://a:", "-", "-----BEGIN ", "sk-",
    "token", "api-key", "token ", '{"token": 1},', "token:", "token: (", "token=",
    "token:a", "'token', ", "TOKEN 'a ", "--token-", "$token", "identified ", "-u a:", "auth", "eyJ-", "eyJ-----------.",
    "import a\n", "from a import b\n", "from ", "import ", "def ", "def f(", "class ", "lambda ", "lambda: ",
    "as ", "async def f():\n", "@a\n", "x for x in ", "if a else ", "not ", "- ", "**", "a**", "f'{", "f'{a}' ",
    "df['", 'df["a"]["', "a\n\n", "a\n\n b", "\n\n  b", "```\n", "\n```", "<a href=", "<a", "1/", "1/1 ", "[1/",
    "model", "service_account", ".json", "\x0c", "\u2028", "\x00", "🙂", "x" * 30 + " ",
)  # fmt: skip
_MADE: dict[str, Callable[[int], str]] = {
    "deeper lines": lambda n: "".join(f"{' ' * at}if a:\n" for at in range(int((2 * n) ** 0.5))),
    "many bases": lambda n: "print(val, x='class X(" + "a," * (n // 2),
    "nested": lambda n: "(" * (n // 2) + ")" * (n // 2),
    "one long text": lambda n: "x = '" + "a" * n,
    "one long name before =": lambda n: "a" * n + " =",
    "spaces before a name": lambda n: " " * n + "x",
    "blank lines before a deep one": lambda n: "x" + "\n" * n + "  y",
    "a dict": lambda n: "x = {" + "".join(f"'k{at}': {at}, " for at in range(n // 12)) + "}",
    "a chain": lambda n: "x = a" + ".b(1)" * (n // 5),
    "a sum": lambda n: "x = a" + " + a" * (n // 4),
    "statements": lambda n: "x = f(1)\n" * (n // 9),
    "a function": lambda n: "def f():\n" + "    x = f(1)\n" * (n // 13),
    "a long number": lambda n: "x = " + "1" * n,
    "marks out of order": lambda n: "a" + "\u0301" * (n // 2) + "\u0316" * (n // 2) + " = 1",
    "marks in a comment": lambda n: "x = 1  # a" + "\u0301\uff9e\u0316" * (n // 3),
}


def shapes(size: int) -> dict[str, str]:
    """Return one text of that size of each kind."""
    found = {f"{piece!r} repeated": (piece * (size // len(piece) + 1))[:size] for piece in _REPEATED}
    found |= {f"{piece!r} repeated after a name": f"name {text}" for piece, text in
              ((piece, found[f"{piece!r} repeated"]) for piece in (" ", "\t", "\n", "a", "a, ", "=", "("))}  # fmt: skip
    return found | {name: make(size) for name, make in _MADE.items()}
