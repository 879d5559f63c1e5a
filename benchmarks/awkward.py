"""The requests of `hostile.py`: unusual texts, notebooks and bodies, each generated from a seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CANARY = "zq7canary"  # part of every text that is sent; must not appear in a log
MOST = 1_100_000  # characters; slightly more than the server accepts


@dataclass(frozen=True)
class Sending:
    """A request and its client's behaviour."""

    path: str
    body: bytes = b""
    method: str = "POST"
    kind: str = "application/json"
    manner: str = (
        "read"  # the whole response; "cut": close before it; "drip": send slowly; "storm": many at once
    )
    headers: dict[str, str] = field(default_factory=dict)


# Texts ------------------------------------------------------------------------------------------------------

UNITS = (
    "a", "A", "7", "_", " ", "\t", "\n", "\r\n", "\r", "(", "[", "{", ")", "'", '"', '"""', "\\", "#", "*",
    "=", ".", ",", ":", "@", "%", "`", "$", "|", "-", "\u00e9", "\u0301", "\u6f22", "\U0001f642",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u202e", "\u2028", "\x85", "\x00", "\x1b[31m", "\ufeff",
    "\U0010fffd", "ab ", "a, ", "a.", "a(", "f'{", "lambda a: ", "not ", "if a:\n ", "    ", " \n", "\n\n",
    "# a\n", "x = 1\n", "token", '{"token": 1},', "api_key = ", "password='", "import a, ", "class A(",
    "def a(", "for a in ", "with a as b, ", "a if a else ", "@a\n", "try:\n", "0x", "1e9", "1_", "----",
    "-----BEGIN PRIVATE KEY-----\n", "eyJhbGciOi", "sk-", "https://a:b@c/", "<|fim_prefix|>",
    "<|fim_middle|>", "<|endoftext|>", "</s>", "<a>", "$$x$$", "| a | b |\n", "%%time\n", "!ls ", "?",
    "df['", "df.", "print(val",
)  # fmt: skip


def often(rng: random.Random, share: float = 0.5) -> bool:
    """Return True with this probability."""
    return rng.random() < share


def length(rng: random.Random) -> int:
    """Draw a length, usually short, sometimes the maximum."""
    return int(10 ** rng.uniform(0, 4.5 if often(rng, 0.8) else 6.0))


def text(rng: random.Random, most: int = MOST) -> str:
    """Return one or two repeated units between valid lines."""
    size = min(length(rng), most)
    unit = "".join(rng.sample(UNITS, rng.choice((1, 1, 2, 3))))
    run = (unit * (size // len(unit) + 1))[:size]
    before, after = (
        rng.choice(("", "import os\n", "x = '", "print(", "def f(a):\n    ")),
        rng.choice(("", "\n", "\nx = 1")),
    )
    return f"# {CANARY}\n{before}{run}{after}"


def nested(rng: random.Random) -> str:
    """Return deeply nested brackets or blocks."""
    depth = rng.choice((10, 100, 1000, 20_000, 100_000))
    if often(rng):
        return f"{CANARY} = " + rng.choice("([{") * depth
    return "".join(f"{' ' * level}if {CANARY}:\n" for level in range(min(depth, 1000)))


def line(rng: random.Random) -> str:
    """Return a long line of different words, like data pasted into a cell."""
    words = (f"{rng.choice('abcxyz')}{rng.randrange(10**6)}" for _ in range(min(length(rng), 100_000)))
    return f"{CANARY} = [" + rng.choice((", ", " ", ".", "=", "','")).join(words)


SHAPES: tuple[Callable[[random.Random], str], ...] = (text, text, text, nested, line)


def shape(rng: random.Random) -> str:
    """Return a random text of any of these kinds."""
    return rng.choice(SHAPES)(rng)


# Native requests --------------------------------------------------------------------------------------------


def _client(rng: random.Random) -> str:
    return f"stranger-{rng.randrange(6)}"


def _native(rng: random.Random, cells: list[dict[str, Any]], **more: Any) -> Sending:
    active = rng.randrange(len(cells))
    source = cells[active]["source"]
    body: dict[str, Any] = {
        "path": "strange.ipynb", "cells": cells, "active": active, "client": _client(rng),
        "offset": rng.choice((len(source), 0, len(source) // 2, rng.randint(0, len(source)))),
        "trigger": rng.choice(("automatic", "automatic", "invoke", "warmup", "prefetch")),
        "lines": rng.choice(("auto", "single", "multi")), "stream": often(rng, 0.7),
    }  # fmt: skip
    return Sending("complete", dumps(rng, body | more), manner=manner(rng))


def native_cell(rng: random.Random) -> Sending:
    """A cell with an unusual text."""
    return _native(rng, [{"source": shape(rng)}])


def native_notebook(rng: random.Random) -> Sending:
    """Many cells of all kinds."""
    cells = [
        {
            "id": str(number), "type": rng.choice(("code", "code", "markdown", "raw")),
            "source": text(rng, 3000) if often(rng, 0.3) else f"x_{number} = {number}  # {CANARY}\n",
            "executed": rng.choice((True, False, None)), "error": rng.choice((None, None, text(rng, 500))),
        }
        for number in range(rng.choice((1, 3, 30, 300)))
    ]  # fmt: skip
    return _native(
        rng, cells, language=rng.choice(("python", "python", "r", "julia", "sql", "", text(rng, 50)))
    )


def native_documents(rng: random.Random) -> Sending:
    """Other open documents with an ordinary cell."""
    documents = [
        {"path": f"{n}.py", "language": "python", "source": text(rng, 60_000)}
        for n in range(rng.randint(1, 8))
    ]
    return _native(rng, [{"source": f"import os  # {CANARY}\nvalue = "}], documents=documents)


def native_alternatives(rng: random.Random) -> Sending:
    """Several long suggestions, including warm-ups."""
    more = {
        "n": rng.choice((2, 4, 8)),
        "max_tokens": rng.choice((1, 64, 2048)),
        "trigger": "invoke",
        "stream": False,
    }
    return _native(rng, [{"source": text(rng, 5000)}], temperature=rng.choice((0, 0.5, 2)), **more)


def native_values(rng: random.Random) -> Sending:
    """A field with an invalid value."""
    odd = (-1, 0, 1e9, True, "8", 2.5, None, [], {}, 2**64, text(rng, 2000), [[]] * 50, float("nan"))
    names = "path cells active offset trigger stream client n max_tokens temperature lines language documents"
    body: dict[str, Any] = {"cells": [{"source": f"x = {CANARY}"}], "offset": 3}
    for name in rng.sample(names.split(), rng.randint(1, 3)):
        body[name] = rng.choice(odd)
    return Sending("complete", dumps(rng, body))


# Other protocols --------------------------------------------------------------------------------------------

SAMPLERS = ("top_k", "typ_p", "top_p", "min_p", "temperature", "infill", "dry", "xtc", "penalties", "nosuch")


def _llama(rng: random.Random) -> dict[str, Any]:
    more: dict[str, Any] = {
        "n_predict": rng.choice((0, 1, 8, 64, -1, 100_000)), "temperature": rng.choice((0, 0.8, 5, -1)),
        "stream": often(rng), "cache_prompt": often(rng, 0.7), "seed": rng.randrange(2**31),
    }  # fmt: skip
    for name, choice in {
        "top_k": (0, 1, 40, 10**9, -1), "top_p": (0, 0.9, 2), "min_p": (-1, 0.1, 2), "n_probs": (0, 5, 1000),
        "repeat_penalty": (0, 1.1, 1e9), "repeat_last_n": (-1, 64, 10**9), "t_max_predict_ms": (1, 500),
        "t_max_prompt_ms": (1, 500), "samplers": (rng.sample(SAMPLERS, 4), ["infill"]), "n_indent": (0, 4),
        "stop": ([], ["\n"], ["a"] * 1000, [""], text(rng, 500)), "ignore_eos": (True, False),
        "logit_bias": ([[11, 5]], [["a", False]], [[10**9, 1]]), "response_fields": (["content"], ["a/b"]),
        "prompt": (),
    }.items():  # fmt: skip
        if choice and often(rng, 0.25):
            more[name] = rng.choice(choice)
    return more


def infill(rng: random.Random) -> Sending:
    """A request like llama.vim's, with extra context."""
    extra = [{"filename": "a.py", "text": text(rng, 20_000)} for _ in range(rng.choice((0, 1, 16, 64)))]
    body = {"input_prefix": shape(rng), "input_suffix": text(rng, 20_000), "prompt": "", "input_extra": extra}
    return Sending("infill", dumps(rng, body | _llama(rng)), manner=manner(rng))


def completion(rng: random.Random) -> Sending:
    """llama.cpp's completion with all kinds of prompts."""
    prompts = (
        shape(rng),
        [1, 2, 3] * rng.choice((1, 1000)),
        [text(rng, 2000)] * rng.choice((2, 20)),
        {"x": 1},
        [CANARY, 5],
    )
    return Sending(
        "completion", dumps(rng, {"prompt": rng.choice(prompts)} | _llama(rng)), manner=manner(rng)
    )


def openai(rng: random.Random) -> Sending:
    """Many prompts, many completions, and every option."""
    prompts = (
        text(rng, 30_000),
        [text(rng, 3000) for _ in range(rng.choice((2, 16, 17)))],
        [[1, 2]] * 8,
        shape(rng),
    )
    body: dict[str, Any] = {
        "model": "any", "prompt": rng.choice(prompts), "max_tokens": rng.choice((1, 16, 128, -1, 10**6)),
        "n": rng.choice((1, 1, 4, 16)), "stream": often(rng), "temperature": rng.choice((0, 1, 2)),
    }  # fmt: skip
    for name, choice in {
        "suffix": (text(rng, 5000),), "echo": (True,), "logprobs": (0, 5, 20, 1000), "best_of": (1, 8, 100),
        "stop": ("\n", ["a", "b"], [""]), "presence_penalty": (-2, 50), "logit_bias": ({"50": 9}, {"x": 1}),
    }.items():  # fmt: skip
        if often(rng, 0.3):
            body[name] = rng.choice(choice)
    return Sending(
        rng.choice(("v1/completions", "v1/engines/codegen/completions")), dumps(rng, body), manner=manner(rng)
    )


def copilot(rng: random.Random) -> Sending:
    """Like a Copilot client: request a token, then close a stream early."""
    if often(rng, 0.2):
        return Sending("copilot_internal/v2/token", method="GET")
    body = {"prompt": text(rng, 20_000), "suffix": text(rng, 5000), "max_tokens": 500, "n": 1,
            "temperature": 0, "top_p": 1, "stop": ["\n\n\n"], "stream": True, "logprobs": 2,
            "documents": {"language": "python", "next_indent": 0, "trim_by_indentation": True}}  # fmt: skip
    return Sending("v1/engines/copilot-codex/completions", dumps(rng, body), manner="cut")


def huggingface(rng: random.Random) -> Sending:
    """Hugging Face's text generation."""
    parameters = {"max_new_tokens": rng.choice((1, 32, 10**6)), "temperature": rng.choice((0.1, 1, -1)),
                  "do_sample": True, "stop": [CANARY, ""][: rng.randint(0, 2)]}  # fmt: skip
    body = {"inputs": shape(rng), "parameters": parameters, "stream": often(rng)}
    return Sending("api/generate", dumps(rng, body), manner=manner(rng))


def tokens(rng: random.Random) -> Sending:
    """Tokenize arbitrary texts."""
    if often(rng, 0.3):
        return Sending(
            "detokenize",
            dumps(rng, {"tokens": [rng.choice((1, -1, 10**9, 151_000))] * rng.choice((1, 10_000))}),
        )
    return Sending("tokenize", dumps(rng, {"content": shape(rng), "with_pieces": often(rng)}))


# Fixes and renames ------------------------------------------------------------------------------------------

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _cell(source: str, count: int | None = 1) -> dict[str, Any]:
    return {"source": source, "execution_count": count}


def _failed(name: str, message: str, source: str, above: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return a request for fixes for the last cell, which raised an error in its first line."""
    cells = [*above, _cell(source, 2)]
    error = {"name": name, "message": message[:8192], "traceback": ["Cell In[2], line 1"]}
    return {"path": "strange.ipynb", "cells": cells, "failed": len(cells) - 1, "error": error}


def _strings(size: int) -> str:
    """Return string literals, about as many as a cell may have."""
    return ", ".join(f"'Level {number}'" for number in range(max(1, min(size // 14, 1200))))


def _word(length: int = 81) -> str:
    return (LETTERS * (length // len(LETTERS) + 1))[:length]


def _near(size: int, length: int = 81) -> Iterator[str]:
    """Yield different names that are near a word of this length."""
    word = _word(length)
    for number in range(max(1, size // (length + 4))):
        rest, letter = divmod(number, len(LETTERS))
        end, start = divmod(rest, length)
        edited = word[:start] + LETTERS[letter] + word[start + 1 :]
        yield edited[: length - end - 1] + "_" + edited[length - end - 1 :]


def _split(pieces: Iterable[str], most: int = 10_000) -> Iterator[str]:
    """Join lines to cells of limited length."""
    lines: list[str] = []
    for piece in pieces:
        lines.append(piece)
        if len(piece) * len(lines) > most:
            yield "\n".join(lines)
            lines = []
    yield "\n".join(lines)


def _nested(size: int, depth: int, call: str = "g({}, oldp=1)") -> Iterator[str]:
    """Yield nested calls."""
    for _ in range(max(1, size // (depth * len(call)))):
        head, tail = call.split("{}")
        yield head * depth + "1" + tail * depth


FIXES: dict[str, Callable[[int], dict[str, Any]]] = {
    "a repeated beginning": lambda n: _failed("ValueError", "Level " * 1365, f"x[{_strings(n)}]"),
    "other repeated beginnings": lambda n: _failed(
        "KeyError",
        "valid columns: [" * 200 + "but received: a" * 200 + "Level (" * 200,
        f"x[{_strings(n)}]",
    ),
    "missing labels": lambda n: _failed(
        "KeyError", f"[{_strings(n)[:8000]}] not in index", f"df[[{_strings(n)}]]"
    ),
    "one missing label": lambda n: _failed("KeyError", "'Levl 1'", f"df['Levl 1', {_strings(n)}]"),
    "labels in nested calls": lambda n: _failed(
        "KeyError", "'a'", "; ".join(_nested(min(n, 8_000), 60, "col('a', {})"))
    ),
    "labels in a sum": lambda n: _failed("KeyError", "'a'", "df[" + "'a' + " * min(n // 6, 900) + "'b']"),
    "labels below a chain": lambda n: _failed(
        "KeyError", "'a'", "df" + ".head()" * min(n // 7, 900) + "['a']"
    ),
    "a loop over itself": lambda n: _failed(
        "KeyError", "'a'", "for a in a.iterrows(): a['a']" + "; a['b']" * min(n // 8, 900)
    ),
    "a deep expression": lambda n: _failed(
        "AttributeError", "has no attribute 'b'", "(" + "a + " * min(n // 4, 900) + "a).b"
    ),
    "a deep function": lambda n: _failed(
        "TypeError", "f() got an unexpected keyword argument 'b'", "(" + "a + " * min(n // 4, 900) + "a)(b=1)"
    ),
    "attributes": lambda n: _failed("AttributeError", "has no attribute 'b'", "a" + ".b" * min(n // 2, 900)),
    "many attributes": lambda n: _failed(
        "AttributeError", "has no attribute 'append'", "df.append(1); " * min(n // 14, 1000)
    ),
    "near modules": lambda n: _failed(
        "ModuleNotFoundError",
        f"No module named '{_word()}'",
        f"import {_word()}",
        map(_cell, _split(f"import {name}" for name in _near(n))),
    ),
    "near names": lambda n: _failed(
        "NameError",
        f"name '{_word()}' is not defined",
        _word(),
        map(_cell, _split(f"{name}=1" for name in _near(n))),
    ),
    "short near names": lambda n: _failed(
        "NameError",
        f"name '{_word(9)}' is not defined",
        _word(9),
        map(_cell, _split(f"{name}=1" for name in _near(n, 9))),
    ),
    "cells not run": lambda n: _failed(
        "NameError",
        "name 'n0' is not defined",
        "; ".join(f"n{at}" for at in range(min(n // 14, 3000))),
        (_cell(f"n{at} = n{at + 1}", None) for at in range(min(n // 14, 3000))),
    ),
    "uses of an import": lambda n: _failed(
        "NameError",
        "name 'w' is not defined",
        "; ".join(f"w.a{at}" for at in range(min(n // 10, 1500))),
        map(_cell, _split(f"from b{at} import w" for at in range(n // 20))),
    ),
    "the same file": lambda n: _failed(
        "FileNotFoundError",
        f"[Errno 2] No such file or directory: '{'b' + 'a' * 400}'",
        "open(x)",
        (_cell("a" * 15_000 + f" = '{'b' + 'a' * 400}'") for _ in range(n // 16_000)),
    ),
    "a repeated path": lambda n: _failed(
        "FileNotFoundError", "No such file or directory: '" * 290, "open('a')" + "\n" * min(n, 9000)
    ),
    "renamed names": lambda n: _failed(
        "ImportError",
        "cannot import name 'product' from 'numpy' (/lib/numpy.py)",
        "from numpy import "
        + ", ".join(["product"] * min(n // 20, 1500))
        + "\n"
        + "product(1)\n" * min(n // 20, 700),
    ),
    "misspelled imports": lambda n: _failed(
        "ImportError",
        "cannot import name 'producd' from 'numpy' (/lib/numpy.py)",
        "from numpy import producd\n" + "producd\n" * min(n // 8, 3500),
    ),
    "repairs": lambda n: _failed(
        "SyntaxError", "invalid syntax", "f(" + "a b, " * 90 + "\n" + "x = 1\n" * min(n // 6, 1200)
    ),
    "repairs in a block": lambda n: _failed(
        "SyntaxError", "invalid syntax", "if a\n" + "    print 'b', a b = (\n" * min(n // 24, 600)
    ),
    "nested scopes": lambda n: _failed(
        "NameError",
        "name 'b' is not defined",
        "b; " + "lambda: " * 80 + f"[{', '.join(f'c{at}' for at in range(min(n // 7, 3500)))}]",
    ),
    "other alphabets": lambda n: _failed(
        "NameError",
        "name 'прибыль' is not defined",
        "прибыль",
        map(_cell, _split(f"прибы{LETTERS[at % 26]}{at} = 'e\u0301\u202e🙂'" for at in range(n // 20))),
    ),
    "a long traceback": lambda n: (
        _failed("NameError", "name 'b' is not defined", "b")
        | {"error": {"name": "NameError", "traceback": ["/a in " * 600] * min(n // 3600, 18)}}
    ),
}


def _renamed(before: str, after: str, others: Iterable[str] = ()) -> dict[str, Any]:
    cells = [_cell(after), *map(_cell, others)]
    return {"path": "strange.ipynb", "cells": cells, "active": 0, "before": before}


RENAMES: dict[str, Callable[[int], dict[str, Any]]] = {
    "nested calls": lambda n: _renamed(
        "def f(oldp): pass", "def f(newp): pass", _split(_nested(n, 90), 6000)
    ),
    "nested calls of the function": lambda n: _renamed(
        "def g(oldp): pass", "def g(newp): pass", _split(_nested(n, 90), 6000)
    ),
    "a method": lambda n: _renamed(
        "class A:\n    def g(self, oldp): pass",
        "class A:\n    def g(self, newp): pass",
        _split(_nested(n, 60, "a.g({}, oldp=1)"), 6000),
    ),
    "uses": lambda n: _renamed("oldp = 1", "newp = 1", _split("f(oldp)" for _ in range(n // 8))),
    "a long new name": lambda n: _renamed(
        "a = 1" + "; a" * min(n // 6, 3000),
        "b" * min(n // 2, 50_000) + " = 1" + "; a" * min(n // 6, 3000),
        _split("a" for _ in range(n // 3)),
    ),
    "long names": lambda n: _renamed(
        "e\u0301" * 9000 + " = 1",
        "e\u0301" * 9000 + "a = 1",
        ("e\u0301" * 25_000 for _ in range(n // 80_000)),
    ),
    "nested scopes": lambda n: _renamed(
        "oldp = 1", "newp = 1", ("lambda: " * 80 + f"[{'oldp, ' * 2500}]" for _ in range(n // 20_000))
    ),
    "parameters": lambda n: _renamed(
        "def f(oldp): pass",
        "def f(newp): pass",
        _split(f"def f{at}(oldp, a): f(oldp=a)" for at in range(n // 30)),
    ),
    "a column": lambda n: _renamed(
        'df["oldp"] = 1', 'df["newp"] = 1', _split('df["oldp"]' for _ in range(n // 12))
    ),
    "kept cells": lambda n: _renamed("newp = 1", "oldp = 1", ("newp;" * 3000 for _ in range(n // 15_000))),
}


def _repeated(before: str, after: str, others: Iterable[str] = ()) -> dict[str, Any]:
    body = _renamed(before, after, others)
    return body | {"earlier": {"cell": 0, "before": before, "after": after}}


REPEATS: dict[str, Callable[[int], dict[str, Any]]] = {
    "places": lambda n: _repeated("f(oldp)", "f(newp)", _split("f(oldp)" for _ in range(n // 8))),
    "nested calls": lambda n: _repeated("f(0)", "f(0, oldp=1)", _split(_nested(n, 90), 6000)),
    "nested wrapped calls": lambda n: _repeated("f(x)", "g(f(x))", _split(_nested(n, 90), 6000)),
    "a chain of methods": lambda n: _repeated(
        "x" + ".a()" * min(n // 5, 1000),
        "y" + ".a()" * min(n // 5, 1000),
        ("x" + ".a()" * 1000 for _ in range(n // 4000)),
    ),
    "long sums": lambda n: _repeated("f(1)", "f(2)", ("f(1)" + "+f(1)" * 1000 for _ in range(n // 5000))),
    "nested literals": lambda n: _repeated(
        f"f({'[' * 60}1{']' * 60})", f"f({'[' * 60}2{']' * 60})", _split(["f([1])"] * (n // 8))
    ),
    "many arguments": lambda n: _repeated(
        f"f({'x, ' * min(n // 3, 3000)})",
        f"f({'x, ' * min(n // 3, 3000)}y)",
        (f"f({'x, ' * 3000})" for _ in range(n // 9000)),
    ),
    "equal statements": lambda n: _repeated(
        "a()\nb()\n" * min(n // 8, 600),
        "c()\nd()\n" * min(n // 8, 600),
        ("a()\nb()\n" * 600 for _ in range(n // 4800)),
    ),
    "inserted statements": lambda n: _repeated(
        "a()\nb()", "a()\nc()\nb()", ("a()\nb()\n" * 600 for _ in range(n // 4800))
    ),
    "many changes": lambda n: _repeated(
        "f(1)\n" * min(n // 5, 1500),
        "f(2)\n" * min(n // 5, 1500),
        ("f(1)\n" * 1500 for _ in range(n // 7500)),
    ),
    "assigned tables": lambda n: _repeated(
        'df["oldp"]', 'df["newp"]', _split(f'df = f({at}); df["oldp"]' for at in range(n // 25))
    ),
    "nested scopes": lambda n: _repeated(
        "f(oldp)", "f(newp)", ("lambda: " * 80 + f"[{'f(oldp), ' * 1500}]" for _ in range(n // 20_000))
    ),
    "a long comparison": lambda n: _repeated(
        "1 < oldp",
        "2 < oldp",
        ("1 < " * 3000 + "oldp" for _ in range(n // 12_000)),
    ),
    "a table in a long line": lambda n: _repeated(
        'df["oldp"]', 'df["newp"]', ("df;" * 15_000 for _ in range(n // 45_000))
    ),
    "a new text for many places": lambda n: _repeated(
        "f(oldp=1)", f"f(oldp='{'a' * (n // 4)}')", _split(["f(oldp=1)"] * (n // 20))
    ),
    "long strings": lambda n: _repeated(
        f"f('{'a' * n}')", f"f('{'b' * n}')", (f"f('{'a' * 50_000}')" for _ in range(n // 50_000))
    ),
}


def notebook_size(rng: random.Random) -> int:
    """Draw the approximate number of characters of a notebook."""
    return int(10 ** rng.uniform(1, 6))


def fix(rng: random.Random) -> Sending:
    """An error in a notebook that is hard to analyse."""
    body = FIXES[rng.choice([*FIXES])](notebook_size(rng))
    return Sending("fix", dumps(rng, body | {"client": CANARY}), manner=manner(rng))


def rename(rng: random.Random) -> Sending:
    """An edit in a notebook that is hard to analyse."""
    body = RENAMES[rng.choice([*RENAMES])](notebook_size(rng))
    return Sending("rename", dumps(rng, body | {"client": CANARY}), manner=manner(rng))


def repeat(rng: random.Random) -> Sending:
    """Two alike edits in a notebook that is hard to analyse."""
    body = REPEATS[rng.choice([*REPEATS])](notebook_size(rng))
    return Sending("repeat", dumps(rng, body | {"client": CANARY}), manner=manner(rng))


# Invalid bodies and other requests --------------------------------------------------------------------------


def broken(rng: random.Random) -> Sending:
    """A body that is not a valid request."""
    body = rng.choice((
        b"", b"[1]", b'"x"', b"null", b"{", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5000,
        b'{"cells": [{"source": "\\ud800' + CANARY.encode() + b'"}], "offset": 1}', b'{"offset": NaN}',
        b'{"prompt": "' + CANARY.encode() * 600_000 + b'"}', b"\x1f\x8b" + rng.randbytes(9000),
        b'{"prompt": 1e999, "prompt": "' + CANARY.encode() + b'"}', CANARY.encode() + b"=1&b=2",
    ))  # fmt: skip
    kind = rng.choice(
        ("application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/json; x=\xff")
    )
    return Sending(rng.choice(ROUTES), body, kind=kind, manner=manner(rng))


ROUTES = (
    "complete",
    "infill",
    "completion",
    "v1/completions",
    "api/generate",
    "tokenize",
    "fix",
    "rename",
    "repeat",
    "feedback",
    "models",
    "nosuch",
)


def odd_call(rng: random.Random) -> Sending:
    """Other methods, unusual headers, and requests without a response body."""
    about = (
        "health",
        "metrics",
        "openapi.json",
        "props",
        "slots",
        "models",
        "v1/models",
        "v1/models/x%0d%0ay",
        *ROUTES,
    )
    headers = rng.choice(
        ({}, {"Origin": "https://elsewhere.example"}, {"Cookie": "a" * 4000}, {"Expect": "100-continue"})
    )
    return Sending(
        rng.choice(about), method=rng.choice(("GET", "HEAD", "OPTIONS", "PUT", "DELETE")), headers=headers
    )


def feedback(rng: random.Random) -> Sending:
    """Feedback about suggestions that do not exist."""
    events = ("shown", "accepted", "dismissed", CANARY)
    body = {"id": text(rng, 300), "event": rng.choice(events), "chars": rng.choice((-1, 0, 10**12))}
    return Sending("feedback", dumps(rng, body))


def dumps(rng: random.Random, body: Any) -> bytes:
    """Return JSON, with or without escapes."""
    return json.dumps(body, ensure_ascii=often(rng)).encode("utf-8", "surrogatepass")


def manner(rng: random.Random) -> str:
    """Draw a client's behaviour."""
    return rng.choices(("read", "cut", "drip", "storm"), (6, 3, 0.5, 0.5))[0]


CASES: dict[str, tuple[int, Callable[[random.Random], Sending]]] = {
    case.__name__: (weight, case)
    for weight, case in (
        (6, native_cell), (4, native_notebook), (2, native_documents), (1, native_alternatives),
        (2, native_values), (4, infill), (3, completion), (3, openai), (2, copilot), (2, huggingface),
        (2, tokens), (2, fix), (2, rename), (2, repeat), (3, broken), (1, odd_call), (1, feedback),
    )
}  # fmt: skip


def name_of(seed: int, number: int) -> str:
    """Return the name of the case with this number."""
    names = list(CASES)
    drawn = random.Random(f"{seed} {number}").choices(names, [CASES[name][0] for name in names])[0]  # noqa: S311
    return f"{drawn}:{seed}:{number}"


def sending(name: str) -> Sending:
    """Create a case from its name."""
    return CASES[name.split(":", 1)[0]][1](random.Random(name))  # noqa: S311
