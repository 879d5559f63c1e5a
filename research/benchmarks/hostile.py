"""Attack a Jupyter server with unusual notebooks, bodies and clients while a user types.

    python research/benchmarks/hostile.py [--minutes 5] [--seed 1] [--set notebooks.json.gz]
    python research/benchmarks/hostile.py --only native_cell:1:17

Prints a report in Markdown. Exits with 1 if the server ended, stalled, grew, delayed the user or logged what
it should not. Each case is generated from a seed and can be reproduced by its name.

The observers of the server, a poller and a typing user, are separate processes (`hostile.py poll PORT` and
`hostile.py type PORT KERNEL [NOTEBOOKS]`), so that only the server delays them. For each request they print a
line of JSON with time, duration and outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from harness import TOKEN, JupyterServer
from jupyter_client.blocking.client import BlockingKernelClient

from turbopilot_research.evaluate.notebooks import read
from turbopilot_research.evaluate.traces import of_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CANARY = "zq7canary"  # part of every text that is sent; must not appear in a log
MOST = 1_100_000  # characters; slightly more than the server accepts
QUIET, RECOVERY, STORM = 30.0, 20.0, 20  # seconds before and after; connections at once
STATUS_BOUND, STOP_BOUND = 0.5, 5.0  # seconds
GAP_BOUND = 10.5  # seconds: one deadline, and the transfer of its reply
GROWTH_BOUND = 60.0  # MB, after the first third
OK = 200
POLL, KEY = 0.1, 0.2  # seconds between two polls, between two keystrokes
LOOKS = 10.0  # seconds that the user waits for a suggestion at the end of a line
TIMEOUT = 40.0
TYPED = """import numpy as np

def moving_average(values, window):
    total = np.cumsum(values)
    return (total[window:] - total[:-window]) / window

prices = [3.0, 4.5, 5.0, 4.0, 6.5]
for price in moving_average(prices, 2):
    print(f"{price:.2f}")
"""
OBJECTS = """
class Meta(type):
    def __getattribute__(cls, name): raise RuntimeError
class Key(str):
    def __eq__(self, other): raise RuntimeError
    __hash__ = str.__hash__
class Hostile(metaclass=Meta):
    def __getattribute__(self, name): raise RuntimeError
hostile = Hostile(); globals()[Key("hostile_key")] = 1
globals().update({f"name_{n}": n for n in range(50_000)})
"""


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


# The server and its observers -------------------------------------------------------------------------------


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send a request and wait for the response."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        link.request(method, f"/{path}", json.dumps(body) if body is not None else None, headers)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def note(at: float, begun: float, end: int | str) -> None:
    """Print the outcome of a request in one write, because several threads print."""
    os.write(1, json.dumps([at, time.monotonic() - begun, end]).encode() + b"\n")


class AttackedServer(JupyterServer):
    """A Jupyter server with a user, who types and runs cells."""

    def memory(self) -> float:
        """Return the resident memory in MB."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 1e6)

    def good(self) -> str:
        """Request an ordinary completion; if it fails, abort the server to log its stacks."""
        body = {"cells": [{"source": "import num"}], "offset": 10, "trigger": "invoke"}
        try:
            return str(ask(self.port, "POST", "turbopilot/complete", body)[0])
        except (OSError, http.client.HTTPException) as error:
            self.process.send_signal(signal.SIGABRT)
            return f"{type(error).__name__}; the log contains the stack of each thread"

    def kernel(self) -> str:
        """Start the user's kernel."""
        body = {"path": "person.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        found: str = self.parsed("POST", "api/sessions", body)["kernel"]["id"]
        return found

    def execute(self, kernel: str, stop: threading.Event) -> None:
        """Execute cells with hostile objects until `stop` is set."""
        client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels()
        while not stop.wait(5.0):
            client.execute(OBJECTS)
        client.stop_channels()

    def watch(self, file: Path, *what: str) -> subprocess.Popen[bytes]:
        """Start an observer that writes to a file."""
        with file.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, __file__, what[0], str(self.port), *what[1:]], stdout=output
            )


def poll(port: int) -> None:
    """Poll `/api/status` repeatedly."""
    while True:
        at, begun = time.time(), time.monotonic()
        try:
            end: int | str = ask(port, "GET", "api/status")[0]
        except (OSError, http.client.HTTPException) as error:
            end = type(error).__name__
        note(at, begun, end)
        time.sleep(max(0.0, POLL - (time.monotonic() - begun)))


def type_on(port: int, kernel: str, source: str = "") -> None:
    """Type in real time with a request per keystroke; pause at the end of a line for a suggestion."""
    while True:
        for cells, active, written in notebooks(source):
            for place in range(1, len(written) + 1):
                shown = [*cells[:active], written[:place], *cells[active + 1 :]]
                reported = [{"source": cell} for cell in shown]
                body = {"path": "person.ipynb", "client": "person", "kernel_id": kernel, "active": active,
                        "offset": place, "stream": True, "cells": reported}  # fmt: skip
                asked = threading.Thread(target=suggestion, args=(port, body), daemon=True)
                asked.start()
                if written[place - 1] == "\n":
                    asked.join(LOOKS)
                time.sleep(KEY)


def suggestion(port: int, body: dict[str, Any]) -> None:
    """Request a suggestion."""
    at, begun = time.time(), time.monotonic()
    try:
        status, message = ask(port, "POST", "turbopilot/complete", body)
        frames = [json.loads(line) for line in message.split(b"\n")[:-1]] if status == OK else []
        if frames and "error" in frames[-1]:
            end = str(frames[-1]["error"]["code"])
        elif not frames or not frames[-1].get("done"):
            end = "cut" if status == OK else str(status)
        elif frames[-1].get("finish_reason") == "superseded" and not any(f.get("text") for f in frames):
            end = "superseded"
        else:
            end = "answered"
    except (OSError, ValueError, http.client.HTTPException) as error:
        end = type(error).__name__
    note(at, begun, end)


def notebooks(source: str) -> list[tuple[list[str], int, str]]:
    """Return the cells, the index of the active one, and the text to type into it."""
    if not source:
        return [([f"# {number}\n{TYPED}", ""], 1, TYPED) for number in range(3)]
    steps = [trace.keystrokes[0] for trace in of_kind(read(Path(source)), "append", 200)]
    return [(list(s.cells), s.active, s.cells[s.active][: s.offset] + s.future) for s in steps]


# The attack -------------------------------------------------------------------------------------------------


def _rng(*seed: object) -> random.Random:
    return random.Random(str(seed))  # noqa: S311


@dataclass
class Attack:
    """Sends cases, and records the time and outcome of each."""

    port: int
    sent: list[tuple[float, float, str, str]] = field(default_factory=list)
    flying: dict[str, float] = field(default_factory=dict)

    async def lane(self, seed: int, number: int, lanes: int, end: float) -> None:
        """Send every `lanes`-th case of a seed until the time is up."""
        while time.monotonic() < end:
            await self.case(name_of(seed, number))
            await asyncio.sleep(_rng("pause", number).uniform(0.0, 0.4))
            number += lanes

    async def case(self, name: str) -> None:
        """Send one case."""
        made = sending(name)
        self.flying[name] = time.time()
        copies = STORM if made.manner == "storm" else 1
        ends = await asyncio.gather(*(self.one(made, _rng(name, n)) for n in range(copies)))
        self.sent.append((self.flying.pop(name), time.time(), name, ends[0]))

    def during(self, since: float, until: float) -> list[str]:
        """Return the cases that were running at some time."""
        return [name for begun, ended, name, _ in self.sent if begun <= until and ended >= since]

    async def one(self, made: Sending, rng: random.Random) -> str:
        """Send a request over a new connection."""
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    return await self.talk(made, rng, reader, writer)
                finally:
                    writer.close()
        except TimeoutError:
            return "slow"
        except OSError as error:
            return type(error).__name__

    async def talk(
        self, made: Sending, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        """Behave like the case's client."""
        head = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"token {TOKEN}", "Connection": "close",
                "Content-Type": made.kind, "Content-Length": str(len(made.body)), **made.headers}  # fmt: skip
        reported = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"{made.method} /turbopilot/{made.path} HTTP/1.1\r\n{reported}\r\n".encode("latin-1"))
        if made.manner == "drip":
            for at in range(0, min(len(made.body), 200), 10):
                writer.write(made.body[at : at + 10])
                await writer.drain()
                await asyncio.sleep(0.2)
            return "dripped"
        writer.write(made.body)
        await writer.drain()
        if made.manner in {"cut", "storm"}:
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(rng.choice((1, 300, 3000))), rng.uniform(0.0, 1.5))
            return "cut"
        message = await reader.read(1000)
        while await reader.read(65_536):
            pass
        return message[9:12].decode("latin-1") or "closed"


async def besiege(attack: Attack, options: argparse.Namespace) -> None:
    """Run several lanes, or send a single case."""
    if options.only:
        for _ in range(3):
            await attack.case(options.only)
        return
    end = time.monotonic() + options.minutes * 60
    lanes = [attack.lane(options.seed, number, options.lanes, end) for number in range(options.lanes)]
    await asyncio.gather(*lanes)


# Results ----------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """The results in a table, and those that exceed a bound."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def say(self, what: str, value: str, *, bad: bool = False) -> None:
        """Add a row."""
        self.rows.append((what, value + (" **exceeded**" if bad else "")))
        if bad and what not in self.broken:
            self.broken.append(what)

    def __str__(self) -> str:
        """Format the results as a Markdown table."""
        return "| | |\n| --- | --- |\n" + "\n".join(f"| {what} | {value} |" for what, value in self.rows)


def gap(events: list[Any], begun: float, end: float) -> tuple[float, float]:
    """Return the longest time that the user waited for a reply, and its start.

    It starts with the first request without a reply: without requests the user does not wait.
    """
    worst, since, answered = 0.0, begun, begun
    asked = sorted(at for at, *_ in events)
    for at in [*sorted(at + took for at, took, how in events if how == "answered"), end]:
        first = next((one for one in asked if one >= answered), at)
        if at - first > worst:
            worst, since = at - first, first
        answered = max(answered, at)
    return worst, since


def spread(values: list[float]) -> str:
    """Format the median and the maximum of durations."""
    if not values:
        return "none"
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    return " ".join(
        f"{name} {value * 1000:.0f} ms,"
        for name, value in (("median", statistics.median(values)), ("p99", p99), ("worst", values[-1]))
    ).rstrip(",")


def observed(file: Path) -> list[Any]:
    """Read an observer's output, whose last line may be incomplete."""
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


def judge(found: Report, attack: Attack, folder: Path, quiet: float, hostile: float, end: float) -> None:
    """Compare the time under attack with the quiet time before."""
    polls, typed = observed(folder / "poll"), observed(folder / "type")
    for name, since, until in (("quiet", quiet, hostile), ("hostile", hostile, end)):
        counts = name == "hostile"
        took = [seconds for at, seconds, _ in polls if since <= at < until]
        slowest = max(took, default=TIMEOUT)
        found.say(
            f"`/api/status`, {name}", f"{spread(took)} of {len(took)}", bad=counts and slowest > STATUS_BOUND
        )
        events = [event for event in typed if since <= event[0] < until]
        ends = Counter(str(how) for *_, how in events)
        found.say(f"the user's requests, {name}", ", ".join(f"{n} {how}" for how, n in ends.most_common()))
        worst, at = gap(events, since, until)
        found.say(
            f"the user's replies, {name}",
            spread([took for _, took, how in events if how == "answered"])
            + f"; longest wait {worst:.1f} s, starting at {at - since:.0f} s",
            bad=counts and worst > GAP_BOUND,
        )
        if counts:
            found.say("during that", ", ".join(attack.during(at, at + worst)[-12:]) or "nothing")
    slow = [poll for poll in polls if poll[0] >= hostile and (poll[1] > STATUS_BOUND or poll[2] != OK)]
    for at, seconds, status in slow[:12]:
        during = ", ".join(attack.during(at, at + seconds)[-6:])
        words = f"{status} after {seconds:.2f} s, {at - hostile:.1f} s in, during {during}"
        found.say("a slow poll", words)


def judge_memory(found: Report, weighed: list[tuple[float, float]], hostile: float, end: float) -> None:
    """Fit a line through the memory use after the first third."""
    later = [(at, size) for at, size in weighed if at >= hostile + (end - hostile) / 3]
    if len({at for at, _ in later}) < 3:  # noqa: PLR2004
        return
    slope = statistics.linear_regression([at for at, _ in later], [size for _, size in later]).slope
    sizes = " ".join(f"{size:.0f}" for _, size in weighed[:: max(1, len(weighed) // 12)])
    grown = slope * (later[-1][0] - later[0][0])
    found.say("memory, MB", f"{sizes}; {slope * 60:+.2f} per minute at the end", bad=grown > GROWTH_BOUND)


_LEVEL = re.compile(r"\[([DIWEC]) ")
_VARYING = re.compile(r"\b[0-9a-f]{8,}[-0-9a-f]*|\d+(?:\.\d+)*")
# Jupyter logs each 503 as an error, with its headers; Turbopilot's 503s report a deadline or a full queue.
_BUSY = re.compile(r"ServerApp\] (?:503 [A-Z]+ /turbopilot/|\{$)")
_FAULT = re.compile(r"Traceback|Task |Error|exception|assert|abort", re.IGNORECASE)


def judge_log(found: Report, log: str) -> None:
    """Search the log for sent texts, errors, and output that bypassed the logger."""
    found.say("texts in the log", str(log.count(CANARY)), bad=CANARY in log)
    reported: Counter[tuple[str, str]] = Counter()
    for entry in re.split(r"\n(?=\S)", log):  # indented lines continue the line above
        first, *more = entry.rstrip().split("\n")
        level = begins[1] if (begins := _LEVEL.match(first)) else "printed"
        if _BUSY.search(first):
            level = "W"
        if level not in "DI":
            words = f"{first[:150]} … {more[-1].strip()[:100]}" if more else first[:150]
            reported[level, _VARYING.sub("N", words)] += 1
    for (level, words), count in reported.most_common(40):
        shown = words.replace("|", r"\|").replace("`", "'")
        bad = level == "E" or bool(_FAULT.search(words))
        found.say(f"logged {level}", f"{count} times `{shown}`", bad=bad)


def siege(server: AttackedServer, folder: Path, options: argparse.Namespace) -> Report:
    """Observe a server at rest, attack it, let it recover, and stop it."""
    found, attack, stop = Report(), Attack(server.port), threading.Event()
    weighed: list[tuple[float, float]] = []

    def weigh() -> None:
        with suppress(psutil.Error):
            while not stop.wait(2.0):
                weighed.append((time.time(), server.memory()))

    watchers = []
    try:
        kernel = server.kernel()
        threading.Thread(target=server.execute, args=(kernel, stop), daemon=True).start()
        threading.Thread(target=weigh, daemon=True).start()
        watchers = [server.watch(folder / "poll", "poll"),
                    server.watch(folder / "type", "type", kernel, options.set)]  # fmt: skip
        quiet = time.time()
        time.sleep(QUIET if not options.only else RECOVERY / 4)
        hostile = time.time()
        asyncio.run(besiege(attack, options))
        time.sleep(RECOVERY if not options.only else RECOVERY / 4)
        end = time.time()
        judge(found, attack, folder, quiet, hostile, end)
        judge_memory(found, weighed, hostile, end)
        ends = Counter(how for *_, how in attack.sent)
        found.say("cases", ", ".join(f"{count} {how}" for how, count in ends.most_common()))
        code = server.process.poll()
        if code is None:
            status = server.good()
            found.say("a valid request afterwards", status, bad=status != str(OK))
        else:
            answered = [name for *_, name, how in attack.sent if how != "ConnectionRefusedError"]
            found.say("the server", f"ended with {code}, after {', '.join(answered[-8:])}", bad=True)
    finally:
        stop.set()
        for watcher in watchers:
            watcher.terminate()
            watcher.wait()
        took = server.stop()
    found.say("stopping", f"{took:.1f} s", bad=took > STOP_BOUND)
    log = server.log.read_text(errors="replace")
    if options.log:
        options.log.write_text(log)
    judge_log(found, log)
    return found


def main() -> None:
    """Run."""
    if sys.argv[1:2] in (["poll"], ["type"]):
        {"poll": poll, "type": type_on}[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=4, help="number of concurrent attackers")
    parser.add_argument("--set", default="", help="notebooks that the user types; default: a few lines")
    parser.add_argument("--only", help="one case, by its name")
    parser.add_argument("--log", type=Path, help="keep the server's log here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stop the server, too
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with AttackedServer(
            folder, "--Turbopilot.keep_sequences=False", ready=lambda health: health.get("ready")
        ) as server:
            found = siege(server, folder, options)
    print(f"\n{options.only or f'Seed {options.seed}, {options.minutes:g} minutes'}\n\n{found}")
    if found.broken:
        print(f"\nExceeded: {', '.join(found.broken)}.")
    raise SystemExit(1 if found.broken else 0)


if __name__ == "__main__":
    main()
