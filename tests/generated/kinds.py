"""Strategies for texts that the two languages may process differently."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)

# Quotes, brackets, white space, letters and digits of any width, special case mappings.
SIGNS = "ab_Z01 .,:;=+-*/%!?@#()[]{}<>'\"`\\\n\t"
AWKWARD = "\xa0\u200b\u3000é²½٣Ⅻßİ\u0131\u017f\u212a中\u0301\ufb01😀\U0001d465\U0001d7d8\U00020000\x00"
FRAGMENTS = [
    "def f(x):\n", "    ", "\t", "  \t", "return ", "x", "xs", " = ", "1", "\n", "\n\n", "import numpy as np\n",
    "from a import b\n", "for i in range(3):\n", "lambda y: y", " in ", "import (a, b)", "class C:\n", "%%bash\n",
    "%%time\n", "%time x\n", "!ls -l\n", "  x?\n", "y = !ls\n", "# Load\n", "## Two words \n", "'", '"', '"""',
    "f'{", "}", "(", ")", "[", "]", "{", ", ", ".", ":", "```", "Here is ", "Sure, ", "print(x)", "x.head()",
    "password = 'hunter22'", 'api_key: str = "abcdefgh"', "sk-abcdefghijklmnopqrstuvwxyz", "eyJhbGciOiJIUzI1",
    ".eyJhbGciOiJIUzI1NiJ9.", "https://me:secret@host", "author = 'Ada Smith'", "token is 'abcdefgh'",
    "Authorization: Bearer abcdefgh", "auth('abcdef')", "# comment", "\\\n", "ré = 'é'", "a = 1\n", "😀",
    "\x00", "\u202e", "e\u0301", "👩\u200d👧", "creds = ('a', 'hunter2')", "{x!r:>{w}}",
    "password <- ", "PASSWORD=", "export ", "--token ", "curl -u me:", "hunter2hunter2", "'secret', ", "x$token",
]  # fmt: skip
CHARACTERS = st.text(alphabet=SIGNS + AWKWARD, max_size=40)
CODE = st.text(alphabet=SIGNS, max_size=40) | st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
LOOPS = st.builds(
    lambda piece, count, rest: piece * count + rest,
    st.text(alphabet=SIGNS + AWKWARD, max_size=5),
    st.integers(0, 9),
    CODE,
)
TEXT = CODE | CHARACTERS | LOOPS
LINE = TEXT.map(lambda text: text.replace("\n", " "))
LINES = st.sampled_from(["auto", "single", "multi"])
QUOTE = st.sampled_from(["", "'", '"', "`"])
LANGUAGE = st.sampled_from(["python", "python", "r", "javascript", "bash", "klingon"])
PIECES = [
    "x",
    "value",
    " ",
    "  ",
    "\n",
    "\n    ",
    " = ",
    "(",
    ")",
    "'",
    ".",
    "a(b",
    ", ",
    "é",
    "😀",
    "1",
    ":",
]
