"""Check that completions do not change: record a server's responses to 500 requests, and compare two records.

    python research/benchmarks/unchanged.py record BEFORE.json.gz --set notebooks.json.gz [--requests 500]
    python research/benchmarks/unchanged.py record AFTER.json.gz --set notebooks.json.gz [--tree PATH]
    python research/benchmarks/unchanged.py compare BEFORE.json.gz AFTER.json.gz

For refactoring. `record` starts a Jupyter server with the default model and with the extension of this tree,
or of `--tree`. It waits until the server has indexed some of the notebooks, types in the others as several
users with several editors each, one request at a time, and records each status and response with its
token counts. `compare` prints every difference and exits with 1 if there is one.

Identifiers and times are omitted, and so is the number of frames of a stream: the server skips a frame if the
next one is ready before it is written. Of Turbopilot's own streams the record contains the last frame, and
whether each frame begins with the one before it; of other protocols' streams the concatenated events.

On the same machine, with the same number of threads, two records of the same code are equal:

- The engine's clock is fixed. The length of drafts (`engine/stepping/drafts.py`) depends on the measured
  times of batches, and llama.cpp rounds differently in batches of different sizes: with the real clock 9 of
  87 responses of the same code differed, in token counts and in the second digit of logprobs.
- The number of threads is fixed, on a busy machine too.
- Folders for settings, data and caches are new. Only the models are yours.
- Requests do not overlap. `tests/completer/test_schedules.py` covers those that do.

`unchanged_config.py` imports the package, and is read from the tree that is recorded: change modules and
settings there when they are renamed. Trees without it are too old to be recorded.

When a route of the HTTP interface is renamed, or a field or value of a route, enter the new name in `ROUTES`
or `NAMES`, and leave the rest of this script in the old names. Requests are sent with the new names.
Responses are translated back when they are recorded, and again when they are compared, so that a missing
name of a response can be entered later. A tree from before the renaming is recorded by its own copy of this
script.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from harness import JupyterServer

if TYPE_CHECKING:
    from collections.abc import Iterator

# New names by old ones, such as {"/complete": "/suggest"}; and those of a route's fields and values, such as
# {"/complete": {"extra": "documents", "ahead": "prefetch"}}, applied at every depth and in error messages.
ROUTES: dict[str, str] = {}
NAMES: dict[str, dict[str, str]] = {}

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path("research", "benchmarks", "unchanged_config.py")
OK = 200
OWNER = "owner"  # of the server; other users do not share caches
USERS = (OWNER, OWNER, "guest", "visitor")  # of the sessions that are recorded at the same time
INDEXED = 12  # notebooks
WINDOW = 1600  # characters of a notebook's cells around the active one, except in every eighth session
SESSION = 16  # requests at most
_TIME = re.compile(r"created|.*_ms|.*_per_second")


@dataclass(frozen=True)
class Request:
    """A request."""

    kind: str  # for readers of the comparison
    path: str
    body: Any = None
    method: str = "POST"
    user: str = OWNER  # empty: not authenticated


# Keystrokes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A notebook and its cursor after a keystroke."""

    cells: tuple[tuple[str, str], ...]  # type and source
    active: int
    offset: int

    @property
    def before(self) -> str:
        """The text above the cursor in an editor without cells."""
        above = [source for kind, source in self.cells[: self.active] if kind == "code"]
        return "\n\n".join([*above, self.cells[self.active][1][: self.offset]])

    @property
    def after(self) -> str:
        """The rest of the active cell."""
        return self.cells[self.active][1][self.offset :]

    def at(self, active: int, typed: str, rest: str = "") -> State:
        """Return the state with another text in a cell, and the cursor before `rest`."""
        kind = self.cells[active][0]
        cells = (*self.cells[:active], (kind, typed + rest), *self.cells[active + 1 :])
        return State(cells, active, len(typed))


def keystrokes(rng: random.Random, notebook: dict[str, Any], *, whole: bool) -> list[State]:
    """Type a part of a cell, at its end or in its middle, with typos and visits to the cell above."""
    active = rng.choice(notebook["typed"])
    cells = [(cell["type"], cell["source"]) for cell in notebook["cells"]]
    if not whole:
        cells, active = window(cells, active)
    text = cells[active][1][:600]
    lines = text.split("\n")
    begin = sum(len(line) + 1 for line in lines[: rng.randrange(max(1, len(lines) - 1))])
    end = min(len(text), begin + 80)
    rest = rng.choice(["", text[end:]])
    now = State(tuple(cells), active, 0).at(active, text[:begin], rest)
    states, at = [now], begin
    while at < end:
        at += rng.choice([1, 2, 3, 4, 6])
        states.append(now.at(active, text[:at], rest))
        slip = rng.choices(("none", "backspace", "typo", "edit above", "visit above"), (76, 6, 6, 6, 6))[0]
        if slip == "backspace":
            states.append(now.at(active, text[: at - 1], rest))
        elif slip == "typo":
            states += [now.at(active, text[:at] + "zq", rest), now.at(active, text[:at], rest)]
        elif slip == "edit above" and active:
            kind, source = now.cells[active - 1]
            now = State(
                (*now.cells[: active - 1], (kind, source + "\n# seen"), *now.cells[active:]), active, 0
            )
            states.append(now.at(active, text[:at], rest))
        elif slip == "visit above" and active:
            source = now.cells[active - 1][1]
            states.append(State(now.at(active, text[:at], rest).cells, active - 1, len(source)))
    return states


def window(cells: list[tuple[str, str]], active: int) -> tuple[list[tuple[str, str]], int]:
    """Return the cells around the active one, and its index among them."""
    first, last = active, active + 1
    while last - first < len(cells):
        wider = cells[max(0, first - 1) : last + 1]
        if sum(len(source) for _, source in wider) > WINDOW + len(cells[active][1]):
            break
        first, last = max(0, first - 1), min(len(cells), last + 1)
    return cells[first:last], active - first


# Requests ---------------------------------------------------------------------------------------------------


def requests(notebooks: list[dict[str, Any]], count: int, seed: int) -> list[Request]:
    """Return the requests of several concurrent users; they do not depend on responses."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    found = [*about(), *refused()]
    sessions: list[Iterator[Request]] = [iter(())] * len(USERS)
    begun = 0
    while len(found) < count:
        number = rng.randrange(len(USERS))
        if request := next(sessions[number], None):
            found.append(replace(request, user=USERS[number]))
        else:
            protocol = rng.choices((own, llama, openai), (3, 1, 1))[0]
            states = keystrokes(rng, rng.choice(notebooks), whole=begun % 8 == 0)
            sessions[number] = islice(protocol(rng, states), SESSION)
            begun += 1
    return found[:count]


def about() -> list[Request]:
    """Return requests about the server and its tokens."""
    tokens = {"content": "def area(radius):\n\treturn π * radius ** 2 <|fim_middle|>", "with_pieces": True}
    return [
        Request("about", "/props", method="GET"),
        Request("about", "/v1/models", method="GET"),
        Request("about", "/tokenize", tokens),
        Request("about", "/detokenize", {"tokens": [*range(1000, 1040)]}),
    ]


def refused() -> list[Request]:
    """Return requests that the server refuses."""
    cells = [{"source": "x = "}]
    return [
        Request("refused", "/complete", {"cells": cells, "offset": 5}),
        Request("refused", "/complete", {"cells": cells, "offset": 4, "active": 1}),
        Request("refused", "/complete", {"cells": cells, "offset": 4, "trigger": "never"}),
        Request("refused", "/complete", {"cells": cells, "offset": 4, "stream": True, "n": 2}),
        Request("refused", "/complete", {"cells": [], "offset": 0}),
        Request("refused", "/complete", {"offset": 0}),
        Request("refused", "/complete", method="GET"),
        Request("refused", "/complete", {"cells": cells, "offset": 4}, user=""),
        Request("refused", "/infill", {"input_prefix": 3}),
        Request("refused", "/infill", {"input_prefix": "x", "n_predict": 1, "mirostat": 2}),
        Request("refused", "/completion", {"prompt": []}),
        Request("refused", "/v1/completions", {"prompt": "x = ", "n": 2, "best_of": 1}),
        Request("refused", "/v1/completions", {"prompt": "x = ", "max_tokens": "many"}),
        Request("refused", "/nowhere", {"prompt": "x = "}),
    ]


def own(rng: random.Random, states: list[State]) -> Iterator[Request]:
    """Iterate over the requests of Turbopilot's editors: warm-up, keystrokes, prefetching."""
    executed = rng.choice([True, False])
    common: dict[str, Any] = {
        "path": rng.choice(["typed.ipynb", "folder/other.ipynb", "module.py"]),
        "client": f"tab {rng.randrange(3)}",
        "lines": rng.choice(["auto", "auto", "auto", "single", "multi"]),
        "eagerness": rng.choice([None, None, "quiet", "eager", "always"]),
        "notebook_index": rng.choice([True, True, True, False]),
    }
    if rng.randrange(4) == 0:
        text = "import math\n\ndef area(radius):\n    return math.pi * radius ** 2\n"
        common["documents"] = [{"path": "shapes.py", "language": "python", "source": text}]

    def request(state: State, trigger: str, **more: Any) -> Request:
        cells = [
            {
                "id": str(number),
                "type": kind,
                "source": source,
                "executed": executed and number < state.active,
            }
            for number, (kind, source) in enumerate(state.cells)
        ]
        if executed and state.active and rng.randrange(10) == 0:
            cells[state.active - 1]["error"] = "NameError: name 'frame' is not defined"
        cursor = {"cells": cells, "active": state.active, "offset": state.offset, "trigger": trigger}
        how = "streamed" if more.get("stream") else "whole"
        return Request(f"own, {trigger}, {how}", "/complete", common | cursor | more)

    yield request(states[0], "warmup")
    for number, state in enumerate(states):
        stream = rng.choice([True, False])
        how = rng.choices(("automatic", "invoke", "several"), (82, 15, 3))[0]
        if how == "automatic":
            yield request(state, "automatic", stream=stream, max_tokens=rng.choice([None, None, 16]))
        elif how == "invoke":
            length = rng.choice([8, 8, 12, 16, 24, None])
            yield request(state, "invoke", stream=stream, max_tokens=length)
        else:
            yield request(state, "invoke", n=3, max_tokens=12)
        later = states[min(number + 4, len(states) - 1)]
        prefetched = rng.choices(("none", "prefetch", "warmup"), (85, 10, 5))[0]
        if prefetched != "none":
            yield request(later, prefetched, stream=stream)


def llama(rng: random.Random, states: list[State]) -> Iterator[Request]:
    """Iterate over the requests of editors for llama.cpp's server."""
    common = {"temperature": 0.0, "seed": 1, "cache_prompt": True}
    infill = rng.randrange(5) < 3  # noqa: PLR2004
    logprobs = rng.randrange(4) == 0

    def request(state: State, **more: Any) -> Request:
        how = "streamed" if more.get("stream") else "whole"
        above, _, line = state.before.rpartition("\n")
        if infill:
            extra = [{"filename": "shapes.py", "text": "def area(radius):\n    return 3 * radius\n"}]
            text = {"input_prefix": above + "\n", "prompt": line, "input_suffix": state.after + "\n"}
            return Request(f"infill, {how}", "/infill", common | text | {"input_extra": extra} | more)
        prompt = state.before
        if state.after:
            prompt = f"<|fim_prefix|>{state.before}<|fim_suffix|>{state.after}<|fim_middle|>"
        return Request(f"completion, {how}", "/completion", common | {"prompt": prompt} | more)

    yield request(states[0], n_predict=0)
    for state in states[1:]:
        more: dict[str, Any] = {"n_predict": rng.choice([4, 8, 16]), "stream": rng.choice([True, False])}
        if rng.randrange(5) < 3:  # noqa: PLR2004
            more["stop"] = ["\n"]
        if logprobs:
            more |= {"n_probs": 3, "return_tokens": not more["stream"]}
        more |= rng.choice([{}, {}, {}, {}, *_OPTIONS])
        yield request(state, **more)


_OPTIONS: tuple[dict[str, Any], ...] = (
    {"top_k": 1, "samplers": ["top_k"]},
    {"repeat_penalty": 1.2, "repeat_last_n": 64},
    {"n_indent": 4},
    {"logit_bias": [["(", False]]},
    {"n_cmpl": 2, "stream": False},
    {"response_fields": ["content", "timings/predicted_n"], "stream": False},
)


def openai(rng: random.Random, states: list[State]) -> Iterator[Request]:
    """Iterate over the requests of clients of OpenAI's protocol."""
    path = rng.choice(["/v1/completions", "/v1/completions", "/v1/engines/codegen/completions"])
    common: dict[str, Any] = {"model": "any", "temperature": 0, "seed": 1}
    common |= rng.choice([{}, {}, {"logprobs": 0}, {"logprobs": 3}])
    common |= rng.choice([{}, {"cache_salt": "tenant"}])
    for state in states:
        stream = rng.choice([True, False])
        body = common | {"prompt": state.before, "max_tokens": rng.choice([4, 8, 16]), "stream": stream}
        if state.after:
            body["suffix"] = state.after
        if stream:
            body["stream_options"] = {"include_usage": True}
        options = ({"stop": ["\n"]}, {"stop": "("}, {"echo": True}, {"n": 2}, {"frequency_penalty": 0.5})
        body |= rng.choice([{}, {}, {}, *options])
        yield Request(f"openai, {'streamed' if stream else 'whole'}", path, body)


def renamed(value: Any, path: str, *, back: bool = False, field: str = "") -> Any:
    """Return the body of a request with the new names, or of a response with the old ones."""
    names = NAMES.get(path, {})
    names = {new: old for old, new in names.items()} if back else names
    if isinstance(value, dict):
        return {
            names.get(name, name): renamed(one, path, back=back, field=name) for name, one in value.items()
        }
    if isinstance(value, list):
        return [renamed(one, path, back=back) for one in value]
    if field in {"field", "message"} and value:  # of an error
        return re.sub(r"[\w-]+", lambda word: names.get(word[0], word[0]), value)
    return names.get(value, value) if isinstance(value, str) else value


# Responses --------------------------------------------------------------------------------------------------


def recorded(value: Any) -> Any:
    """Return a part of a response without times and identifiers."""
    if isinstance(value, dict):
        return {name: recorded(one) for name, one in value.items() if not varies(name, one)}
    return [recorded(one) for one in value] if isinstance(value, list) else value


def varies(name: str, value: Any) -> bool:
    """Return whether a field is a time or the identifier of a response; that of a token is a number."""
    return (name == "id" and isinstance(value, str)) or (
        isinstance(value, int | float) and _TIME.fullmatch(name) is not None
    )


def lines(frames: list[Any]) -> dict[str, Any]:
    """Return the last frame of a stream, and whether each frame extends the previous one."""
    texts = [frame.get("text", "") for frame in frames]
    grown = all(late.startswith(early) for early, late in pairwise(texts))
    same = len({frame.get("id") for frame in frames}) == 1
    return {"last": recorded(frames[-1]), "grown": grown, "one": same}


def events(message: bytes) -> dict[str, Any]:
    """Concatenate the events of another protocol's stream."""
    found = [line.removeprefix(b"data: ") for line in message.split(b"\n\n") if line]
    closed = bool(found) and found[-1] == b"[DONE]"
    texts: dict[int, Any] = {}
    usage = None
    for line in found[: len(found) - closed]:
        event = recorded(json.loads(line))
        usage = event.pop("usage", None) or usage
        for one in event.pop("choices", [event]):
            before = texts.setdefault(one.get("index", 0), {})
            texts[one.get("index", 0)] = joined(before, event | one)
    return {"texts": [texts[number] for number in sorted(texts)], "usage": usage, "closed": closed}


def joined(before: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Append an event to the previous ones: texts and lists of tokens grow, other fields are replaced."""
    found = before | event
    for name in ("content", "text", "tokens", "completion_probabilities"):
        if name in before:
            found[name] = before[name] + event.get(name, type(before[name])())
    if logprobs := before.get("logprobs"):
        more = event.get("logprobs") or {}
        found["logprobs"] = {name: [*each, *more.get(name, [])] for name, each in logprobs.items()}
    return found


def indexed_server(options: argparse.Namespace, folder: Path, *indexed: dict[str, Any]) -> JupyterServer:
    """Return a server of a source tree with an index of notebooks."""
    for name in ("home", "work"):
        (folder / name).mkdir()
    for number, notebook in enumerate(indexed):
        write(notebook, folder / "work" / f"indexed {number}.ipynb", 1.7e9 + number)
    foreign = ("JUPYTER", "TURBOPILOT", "XDG")
    environment = {name: one for name, one in os.environ.items() if not name.startswith(foreign)} | {
        "HOME": str(folder / "home"),
        "JUPYTERHUB_USER": OWNER,
        "TURBOPILOT_MODELS": str(options.models),
        "UNCHANGED_CLOCK": options.clock,
        "UNCHANGED_THREADS": str(options.threads),
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(options.tree),
    }

    def ready(health: dict[str, Any]) -> bool:
        index = health.get("notebook_index") or {"building": True}
        return health["ready"] and not index["building"] and index["files"] == len(indexed)

    return JupyterServer(folder, f"--config={options.tree / CONFIG}", ready=ready, environment=environment)


def ask(server: JupyterServer, request: Request) -> dict[str, Any]:
    """Send a request; return the response in the old names."""
    path = "turbopilot" + ROUTES.get(request.path, request.path)
    body = None if request.body is None else renamed(request.body, request.path)
    status, kind, content = server.send(request.method, path, body, request.user)
    if kind == "text/event-stream":
        answer = renamed(events(content), request.path, back=True)
    elif kind == "application/x-ndjson":
        frames = [json.loads(line) for line in content.splitlines()]
        answer = lines(renamed(frames, request.path, back=True))
    else:
        answer = recorded(renamed(json.loads(content), request.path, back=True))
    return {"status": status, "type": kind, "answer": answer}


def write(notebook: dict[str, Any], path: Path, modified: float) -> None:
    """Write a notebook for the index, which sorts by modification times."""
    cells = [{"cell_type": one["type"], "source": one["source"], "metadata": {}} for one in notebook["cells"]]
    content = {"cells": cells, "metadata": {"language_info": {"name": "python"}}}
    path.write_text(json.dumps(content | {"nbformat": 4, "nbformat_minor": 4}), "utf-8")
    os.utime(path, (modified, modified))


def record(options: argparse.Namespace) -> int:
    """Send all requests and record the responses."""
    with gzip.open(options.set, "rt", encoding="utf-8") as given:
        notebooks = json.load(given)
    sent = requests(notebooks[INDEXED:], options.requests, options.seed)
    folder = Path(tempfile.mkdtemp(prefix="unchanged-")).resolve()
    begun = time.monotonic()
    try:
        with indexed_server(options, folder, *notebooks[:INDEXED]) as server:
            print(f"{len(sent)} requests to {options.tree}", flush=True)
            answers = []
            for number, request in enumerate(sent, 1):
                answers.append(ask(server, request))
                if number % 50 == 0:
                    print(f"{number}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = {"threads": options.threads, "clock": options.clock}
    found |= {"requests": [asdict(request) for request in sent], "answers": answers}
    options.out.write_bytes(gzip.compress(json.dumps(found).encode(), mtime=0))
    served = sum(answer["status"] == OK for answer in answers)
    print(f"{served} answered, {len(answers) - served} refused, {time.monotonic() - begun:.0f} s")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print the differences between two records."""
    before, after = (
        json.loads(gzip.decompress(path.read_bytes())) for path in (options.before, options.after)
    )
    found = [line for name in ("threads", "clock") for line in differences(before[name], after[name], name)]
    if before["requests"] != after["requests"]:
        found.append("The requests differ. Record both with the same --set, --requests and --seed.")
    else:
        pairs = zip(before["requests"], before["answers"], after["answers"], strict=True)
        for number, (request, *answers) in enumerate(pairs):
            old, new = (renamed(answer, request["path"], back=True) for answer in answers)
            found += [f"{number} ({request['kind']}) {line}" for line in differences(old, new)]
    for line in found[: options.most]:
        print(line)
    where = len({line.partition(" ")[0] for line in found})
    print(
        f"{len(found)} differences, in {where} places"
        if found
        else f"{len(before['requests'])} answers are the same"
    )
    return bool(found)


def differences(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Iterate over the differences between two responses."""
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
    parser = argparse.ArgumentParser(description="Record a server's answers, and compare two records.")
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("out", type=Path)
    recording.add_argument("--set", type=Path, required=True, help="a prepared set of notebooks")
    recording.add_argument("--requests", type=int, default=500)
    recording.add_argument("--seed", type=int, default=7)
    recording.add_argument("--threads", type=int, default=1)
    recording.add_argument(
        "--tree", type=lambda text: Path(text).resolve(), default=ROOT, help="the tree to record"
    )
    folder = Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "models"
    recording.add_argument("--models", type=Path, default=Path(os.environ.get("TURBOPILOT_MODELS") or folder))
    recording.add_argument("--clock", choices=["fixed", "real"], default="fixed", help="the engine's clock")
    recording.set_defaults(run=record)
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--most", type=int, default=200, help="maximum number of lines to print")
    comparing.set_defaults(run=compare)
    options = parser.parse_args()
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
