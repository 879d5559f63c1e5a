"""Is every answer what it was? Record what a server says to 500 requests; compare that with another record.

    python benchmarks/unchanged.py record BEFORE.json.gz --set notebooks.json.gz [--requests 500]
    python benchmarks/unchanged.py record AFTER.json.gz --set notebooks.json.gz [--tree PATH]
    python benchmarks/unchanged.py compare BEFORE.json.gz AFTER.json.gz

For moving and renaming code without changing what it does. `record` starts `jupyter turbopilot serve` of the
tree that this script stands in, or of `--tree`, with the default model, asks one thing after the other, and
writes down each status and answer and what was evaluated for it: tokens of the prompt, tokens known from
before, tokens written, guesses offered and accepted. `compare` prints every difference and exits with 1 if
there is one. Nothing here imports the package, or a neighbour that does: only its command line and its HTTP
interface have to stay.

Left out are identifiers and times, and how many frames a stream has: a frame is not sent where the next one
has come before it could be written. Of a stream of ours the last frame is compared, and whether each is the
beginning of the next; of other protocols' streams what all of their events add up to.

Two runs of the same code are equal in everything else, on the same machine with the same number of threads,
because of what the server is started with:

- Its clock for short times, `time.perf_counter`, stands still. How many tokens are guessed depends on how
  long batches of each size took (`engine/drafts.py`); by a clock that stands still the costs remain those it
  begins with. By the real clock each run offers other guesses, and llama.cpp rounds otherwise in batches of
  another size: of 87 answers to the same code 9 differed, in the numbers of guesses offered and accepted and
  from the second digit of a logarithm on. With other luck that changes a word. `--clock real` shows it.
- It computes on all of its threads however busy the machine is, and what nobody waits for is never refused.
  One thread is slower than two on an idle machine and faster beside others' work.
- Nothing is kept over its end, and folders for settings, data and caches are new. Only the models are yours.
- Nobody else is served: one request has ended before the next is sent. What happens where requests overlap
  is `tests/test_overlaps.py`'s to record.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
KEY = "unchanged"
OK = 200
WINDOW = 1600  # characters of a notebook's cells around the one that is typed, but in every eighth session
SESSION = 16  # requests, about
SHARES = {"own": 0.6, "llama": 0.2, "openai": 0.2}
# What the server is to do alike each time.
SETTINGS = """
c.Turbopilot.threads = {threads}
c.Turbopilot.considerate = False
c.Turbopilot.keep_sequences = False
c.Turbopilot.idle_minutes = 0.0
c.Turbopilot.deadline = 300.0
c.Turbopilot.text_deadline = 300.0
"""
STILL = "import time\n\ntime.perf_counter = lambda: 0.0\n"
_TIME = re.compile(r"created|.*_ms|.*_per_second")
_COUNTED = re.compile(r"turbopilot_\w+_(?:total|count)\b")


@dataclass(frozen=True)
class Request:
    """Something to ask."""

    what: str  # for who reads the comparison
    path: str
    body: Any = None
    method: str = "POST"


# What is typed ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stand:
    """A notebook while somebody types in it."""

    cells: tuple[tuple[str, str], ...]  # type and source
    active: int
    offset: int

    @property
    def before(self) -> str:
        """The text above the cursor, as an editor that knows no cells sees it."""
        above = [source for kind, source in self.cells[: self.active] if kind == "code"]
        return "\n\n".join([*above, self.cells[self.active][1][: self.offset]])

    @property
    def after(self) -> str:
        """The text behind the cursor in its cell."""
        return self.cells[self.active][1][self.offset :]

    def at(self, active: int, written: str, rest: str = "") -> Stand:
        """Return it with something written into a cell, the cursor before the rest."""
        kind = self.cells[active][0]
        cells = (*self.cells[:active], (kind, written + rest), *self.cells[active + 1 :])
        return Stand(cells, active, len(written))


def stands(rng: random.Random, notebook: dict[str, Any], *, whole: bool) -> list[Stand]:
    """Type a part of a cell: at its end or in its midst, with slips, and once into another cell and back."""
    active = rng.choice(notebook["typed"])
    cells = [(cell["type"], cell["source"]) for cell in notebook["cells"]]
    if not whole:
        cells, active = window(cells, active)
    text = cells[active][1][:600]
    lines = text.split("\n")
    begins = sum(len(line) + 1 for line in lines[: rng.randrange(max(1, len(lines) - 1))])
    stops = min(len(text), begins + 80)
    rest = rng.choice(["", text[stops:]])
    now = Stand(tuple(cells), active, 0).at(active, text[:begins], rest)
    found, at = [now], begins
    while at < stops:
        at += rng.choice([1, 2, 3, 4, 6])
        found.append(now.at(active, text[:at], rest))
        slip = rng.random()
        if slip < 0.06:  # noqa: PLR2004 - taken back
            found.append(now.at(active, text[: at - 1], rest))
        elif slip < 0.12:  # noqa: PLR2004 - something else, taken back
            found += [now.at(active, text[:at] + "zq", rest), now.at(active, text[:at], rest)]
        elif slip < 0.18 and active:  # noqa: PLR2004 - an edit above
            kind, source = now.cells[active - 1]
            above = (*now.cells[: active - 1], (kind, source + "\n# seen"), *now.cells[active:])
            now = Stand(above, active, 0)
            found.append(now.at(active, text[:at], rest))
        elif slip < 0.24 and active:  # noqa: PLR2004 - a look at the cell above
            source = now.cells[active - 1][1]
            found.append(Stand(now.at(active, text[:at], rest).cells, active - 1, len(source)))
    return found


def window(cells: list[tuple[str, str]], active: int) -> tuple[list[tuple[str, str]], int]:
    """Return the cells around one, and where among them that is."""
    first, last = active, active + 1
    while last - first < len(cells):
        wider = cells[max(0, first - 1) : last + 1]
        if sum(len(source) for _, source in wider) > WINDOW + len(cells[active][1]):
            break
        first, last = max(0, first - 1), min(len(cells), last + 1)
    return cells[first:last], active - first


# What is asked ----------------------------------------------------------------------------------------------


def requests(notebooks: list[dict[str, Any]], count: int, seed: int) -> list[Request]:
    """Return what to ask: the same for the same notebooks and seed, whatever is answered."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    makers: dict[str, Callable[[random.Random, list[Stand]], Iterator[Request]]]
    makers = {"own": own, "llama": llama, "openai": openai}
    found = [*about(), *wrong()]
    given = dict.fromkeys(SHARES, 0)
    for number in range(1 << 16):
        if len(found) >= count:
            break
        name = min(SHARES, key=lambda name: given[name] / SHARES[name])
        typed = stands(rng, rng.choice(notebooks), whole=number % 8 == 7)  # noqa: PLR2004
        some = [request for _, request in zip(range(SESSION), makers[name](rng, typed), strict=False)]
        given[name] += len(some)
        found += some
    return found[:count]


def about() -> list[Request]:
    """Ask the server about itself."""
    tokens = {"content": "def area(radius):\n\treturn π * radius ** 2 <|fim_middle|>", "with_pieces": True}
    return [
        Request("about", "/props", method="GET"),
        Request("about", "/v1/models", method="GET"),
        Request("about", "/openapi.json", method="GET"),
        Request("about", "/tokenize", tokens),
        Request("about", "/detokenize", {"tokens": [*range(1000, 1040)]}),
    ]


def wrong() -> list[Request]:
    """Ask for what is refused."""
    cells = [{"source": "x = "}]
    return [
        Request("refused", "/complete", {"cells": cells, "offset": 5}),
        Request("refused", "/complete", {"cells": cells, "offset": 4, "active": 1}),
        Request("refused", "/complete", {"cells": cells, "offset": 4, "trigger": "never"}),
        Request("refused", "/complete", {"cells": cells, "offset": 4, "stream": True, "n": 2}),
        Request("refused", "/complete", {"cells": [], "offset": 0}),
        Request("refused", "/complete", {"offset": 0}),
        Request("refused", "/complete", method="GET"),
        Request("refused", "/infill", {"input_prefix": 3}),
        Request("refused", "/infill", {"input_prefix": "x", "n_predict": 1, "mirostat": 2}),
        Request("refused", "/completion", {"prompt": []}),
        Request("refused", "/v1/completions", {"prompt": "x = ", "n": 2, "best_of": 1}),
        Request("refused", "/v1/completions", {"prompt": "x = ", "max_tokens": "many"}),
        Request("refused", "/nowhere", {"prompt": "x = "}),
    ]


def own(rng: random.Random, typed: list[Stand]) -> Iterator[Request]:
    """Ask as an editor of ours does: a cell is entered, keys are typed, what may follow is asked ahead."""
    ran = rng.random() < 0.5  # noqa: PLR2004
    more: dict[str, Any] = {
        "path": rng.choice(["typed.ipynb", "folder/other.ipynb", "module.py"]),
        "client": f"tab {rng.randrange(3)}",
        "lines": rng.choice(["auto", "auto", "auto", "single", "multi"]),
        "eagerness": rng.choice([None, None, "quiet", "eager", "always"]),
    }
    if rng.random() < 0.25:  # noqa: PLR2004
        text = "import math\n\ndef area(radius):\n    return math.pi * radius ** 2\n"
        more["extra"] = [{"path": "shapes.py", "language": "python", "source": text}]

    def ask(stand: Stand, trigger: str, **also: Any) -> Request:
        cells = [
            {"id": str(number), "type": kind, "source": source, "executed": ran and number < stand.active}
            for number, (kind, source) in enumerate(stand.cells)
        ]
        if ran and stand.active and rng.random() < 0.1:  # noqa: PLR2004
            cells[stand.active - 1]["error"] = "NameError: name 'frame' is not defined"
        told = {"cells": cells, "active": stand.active, "offset": stand.offset, "trigger": trigger}
        how = "streamed" if also.get("stream") else "whole"
        return Request(f"ours, {trigger}, {how}", "/complete", more | told | also)

    yield ask(typed[0], "warm")
    for number, stand in enumerate(typed):
        streamed = rng.random() < 0.5  # noqa: PLR2004
        dice = rng.random()
        if dice < 0.15:  # noqa: PLR2004
            yield ask(stand, "invoke", stream=streamed, max_tokens=rng.choice([8, 8, 12, 16, 24, None]))
        elif dice < 0.18:  # noqa: PLR2004
            yield ask(stand, "invoke", n=3, max_tokens=12)
        else:
            yield ask(stand, "automatic", stream=streamed, max_tokens=rng.choice([None, None, 16]))
        ahead = typed[min(number + 4, len(typed) - 1)]
        if dice > 0.9:  # noqa: PLR2004
            yield ask(ahead, "ahead", stream=rng.random() < 0.3)  # noqa: PLR2004
        elif dice > 0.85:  # noqa: PLR2004
            yield ask(ahead, "warm", stream=streamed)


def llama(rng: random.Random, typed: list[Stand]) -> Iterator[Request]:
    """Ask as editors for llama.cpp's server do."""
    plain = {"temperature": 0.0, "seed": 1, "cache_prompt": True}
    fill = rng.random() < 0.6  # noqa: PLR2004
    probed = rng.random() < 0.25  # noqa: PLR2004

    def ask(stand: Stand, **more: Any) -> Request:
        how = "streamed" if more.get("stream") else "whole"
        above, _, line = stand.before.rpartition("\n")
        if fill:
            extra = [{"filename": "shapes.py", "text": "def area(radius):\n    return 3 * radius\n"}]
            told = {"input_prefix": above + "\n", "prompt": line, "input_suffix": stand.after + "\n"}
            return Request(f"infill, {how}", "/infill", plain | told | {"input_extra": extra} | more)
        prompt = stand.before
        if stand.after:
            prompt = f"<|fim_prefix|>{stand.before}<|fim_suffix|>{stand.after}<|fim_middle|>"
        return Request(f"completion, {how}", "/completion", plain | {"prompt": prompt} | more)

    yield ask(typed[0], n_predict=0)
    for stand in typed[1:]:
        more: dict[str, Any] = {"n_predict": rng.choice([4, 8, 16]), "stream": rng.random() < 0.5}  # noqa: PLR2004
        if rng.random() < 0.6:  # noqa: PLR2004
            more["stop"] = ["\n"]
        if probed:
            more |= {"n_probs": 3, "return_tokens": not more["stream"]}
        more |= rng.choice([{}, {}, {}, {}, *_OPTIONS])
        yield ask(stand, **more)


_OPTIONS: tuple[dict[str, Any], ...] = (
    {"top_k": 1, "samplers": ["top_k"]},
    {"repeat_penalty": 1.2, "repeat_last_n": 64},
    {"n_indent": 4},
    {"logit_bias": [["(", False]]},
    {"n_cmpl": 2, "stream": False},
    {"response_fields": ["content", "timings/predicted_n"], "stream": False},
)


def openai(rng: random.Random, typed: list[Stand]) -> Iterator[Request]:
    """Ask as clients of OpenAI's protocol do."""
    path = rng.choice(["/v1/completions", "/v1/completions", "/v1/engines/codegen/completions"])
    told = rng.choice([None, None, 0, 3])
    for stand in typed:
        streamed = rng.random() < 0.5  # noqa: PLR2004
        body: dict[str, Any] = {"model": "any", "prompt": stand.before, "temperature": 0, "seed": 1}
        body |= {"max_tokens": rng.choice([4, 8, 16]), "stream": streamed}
        if stand.after:
            body["suffix"] = stand.after
        if told is not None:
            body["logprobs"] = told
        if streamed:
            body["stream_options"] = {"include_usage": True}
        body |= rng.choice(
            [
                {},
                {},
                {},
                {"stop": ["\n"]},
                {"stop": "("},
                {"echo": True},
                {"n": 2},
                {"frequency_penalty": 0.5},
            ]
        )
        yield Request(f"openai, {'streamed' if streamed else 'whole'}", path, body)


# What is answered -------------------------------------------------------------------------------------------


def told(value: Any) -> Any:
    """Return a part of an answer without what is never the same."""
    if isinstance(value, dict):
        return {name: told(one) for name, one in value.items() if not changes(name, one)}
    return [told(one) for one in value] if isinstance(value, list) else value


def changes(name: str, value: Any) -> bool:
    """Tell whether a field is a time or an answer's identifier; a token's is a number."""
    return (name == "id" and isinstance(value, str)) or (
        isinstance(value, int | float) and _TIME.fullmatch(name) is not None
    )


def lines(said: bytes) -> dict[str, Any]:
    """Read a stream of ours: the last frame, and how the others are beginnings of it."""
    frames = [json.loads(line) for line in said.splitlines()]
    texts = [frame.get("text", "") for frame in frames]
    grown = all(late.startswith(early) for early, late in pairwise(texts))
    same = len({frame.get("id") for frame in frames}) == 1
    return {"last": told(frames[-1]), "grown": grown, "one": same}


def events(said: bytes) -> dict[str, Any]:
    """Read a stream of another protocol: what its events add up to."""
    found = [line.removeprefix(b"data: ") for line in said.split(b"\n\n") if line]
    closed = bool(found) and found[-1] == b"[DONE]"
    texts: dict[int, Any] = {}
    usage = None
    for line in found[: len(found) - closed]:
        event = told(json.loads(line))
        usage = event.pop("usage", None) or usage
        for one in event.pop("choices", [event]):
            before = texts.setdefault(one.get("index", 0), {})
            texts[one.get("index", 0)] = joined(before, event | one)
    return {"texts": [texts[number] for number in sorted(texts)], "usage": usage, "closed": closed}


def joined(before: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Put an event behind those before it: texts and lists of tokens grow, of the rest the last counts."""
    found = before | event
    for name in ("content", "text", "tokens", "completion_probabilities"):
        if name in before:
            found[name] = before[name] + event.get(name, type(before[name])())
    if before.get("logprobs") and event.get("logprobs"):
        chances = {name: [*before["logprobs"][name], *more] for name, more in event["logprobs"].items()}
        found["logprobs"] = chances
    elif before.get("logprobs"):
        found["logprobs"] = before["logprobs"]
    return found


class Served:
    """A server that was started from a tree, asked over one connection."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.log = folder / "log"
        for name in ("config", "data", "cache", "state", "runtime", "clock", "home"):
            (folder / name).mkdir()
        (folder / "config" / "jupyter_turbopilot_config.py").write_text(
            SETTINGS.format(threads=options.threads)
        )
        if options.clock == "still":
            (folder / "clock" / "sitecustomize.py").write_text(STILL)
        own = {
            "HOME": str(folder / "home"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "TURBOPILOT_MODELS": str(options.models),
            "TURBOPILOT_API_KEY": KEY,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(folder / "clock"), str(options.tree)]),
        } | {f"XDG_{name.upper()}_HOME": str(folder / name) for name in ("config", "data", "cache", "state")}
        environment = os.environ | own
        where = "import jupyter_turbopilot; print(jupyter_turbopilot.__file__)"
        self.code = subprocess.run(
            [sys.executable, "-c", where], cwd=options.tree, env=environment,
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        command = [sys.executable, "-m", "jupyter_turbopilot.cli", "serve", "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=options.tree, env=environment, stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        """Wait until it is ready."""
        end = time.monotonic() + 180
        while not self._ready():
            if time.monotonic() > end or self.process.poll() is not None:
                self.__exit__()
                raise SystemExit("The server did not become ready:\n" + self.log.read_text()[-3000:])
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def _ready(self) -> bool:
        self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=320)
        try:
            self.link.request("GET", "/health")
            reply = self.link.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException):
            return False
        return reply.status == OK

    def ask(self, request: Request) -> dict[str, Any]:
        """Send something, return what was answered."""
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        data = None if request.body is None else json.dumps(request.body)
        self.link.request(request.method, request.path, data, headers)
        reply = self.link.getresponse()
        said, kind = reply.read(), reply.headers.get("Content-Type", "").partition(";")[0]
        if kind == "application/json":
            answer = told(json.loads(said))
        else:
            answer = {"application/x-ndjson": lines, "text/event-stream": events}[kind](said)
        return {"status": reply.status, "type": kind, "answer": answer}

    def counts(self) -> dict[str, float]:
        """Return what the server has counted."""
        self.link.request("GET", "/metrics", headers={"Authorization": f"Bearer {KEY}"})
        told = self.link.getresponse().read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in told if _COUNTED.match(line))
        return {name: float(value) for name, value in pairs}


def record(options: argparse.Namespace) -> int:
    """Ask everything, write down the answers."""
    with gzip.open(options.set, "rt", encoding="utf-8") as given:
        asked = requests(json.load(given), options.requests, options.seed)
    folder = Path(tempfile.mkdtemp(prefix="unchanged-"))
    begun = time.monotonic()
    try:
        with Served(options, folder) as server:
            print(f"{len(asked)} requests to {server.code}", flush=True)
            answers = []
            for number, request in enumerate(asked, 1):
                answers.append(server.ask(request))
                if number % 50 == 0:
                    print(f"{number}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            counts = server.counts()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = {"threads": options.threads, "clock": options.clock, "counts": counts}
    found = told | {"asked": [asdict(request) for request in asked], "answers": answers}
    options.out.write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))
    served = sum(answer["status"] == OK for answer in answers)
    print(f"{served} answered, {len(answers) - served} refused, {time.monotonic() - begun:.0f} s")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print what differs between two records."""
    before, after = (
        json.loads(gzip.decompress(path.read_bytes())) for path in (options.before, options.after)
    )
    found = [
        f"{name}: {before[name]!r} -> {after[name]!r}"
        for name in ("threads", "clock")
        if before[name] != after[name]
    ]
    if before["asked"] != after["asked"]:
        found.append(
            "Not the same was asked: record both from the same set, with the same --requests and --seed."
        )
    else:
        pairs = zip(before["asked"], before["answers"], after["answers"], strict=True)
        for number, (request, old, new) in enumerate(pairs):
            name = f"{number} ({request['what']})"
            found += [f"{name} {line}" for line in differences(old, new)]
        found += [f"counted {line}" for line in differences(before["counts"], after["counts"])]
    for line in found[: options.most]:
        print(line)
    where = len({line.partition(" ")[0] for line in found})
    print(
        f"{len(found)} differences, in {where} places"
        if found
        else f"{len(before['asked'])} answers are the same"
    )
    return bool(found)


def differences(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Say where two answers differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if name not in old or name not in new:
                yield f"{at}/{name}: " + ("is missing" if name in old else "is new")
            else:
                yield from differences(old[name], new[name], f"{at}/{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{at}/{number}")
    elif old != new:
        yield f"{at}: {old!r} -> {new!r}"


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description="Record what a server answers, and compare two records.")
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("out", type=Path)
    recording.add_argument("--set", type=Path, required=True, help="a prepared set of notebooks")
    recording.add_argument("--requests", type=int, default=500)
    recording.add_argument("--seed", type=int, default=7)
    recording.add_argument("--threads", type=int, default=1)
    recording.add_argument("--tree", type=Path, default=ROOT, help="whose package is served")
    folder = Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "models"
    recording.add_argument("--models", type=Path, default=Path(os.environ.get("TURBOPILOT_MODELS") or folder))
    recording.add_argument("--clock", choices=["still", "real"], default="still", help="see above")
    recording.set_defaults(run=record)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--most", type=int, default=200, help="lines to print")
    comparing.set_defaults(run=compare)
    options = parser.parse_args()
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
