"""What other engines cost beside the default one, and what becomes of a request when one dies.

python benchmarks/engines.py seams --set notebooks.json.gz --before TREE
python benchmarks/engines.py isolated --set notebooks.json.gz
python benchmarks/engines.py killed
python benchmarks/engines.py remote --set notebooks.json.gz
python benchmarks/engines.py failover --set notebooks.json.gz
python benchmarks/engines.py transformers --folder CHECKPOINT
python benchmarks/engines.py day --set notebooks.json.gz

Two ways are asked the same thing in turn, A B B A, so that both meet the same machine; what is idle costs
nothing. `seams` compares this tree with another one, such as the commit before a change.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from desk import Desk, default_weights

from jupyter_turbopilot.config import TurbopilotRemote
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import mixed
from jupyter_turbopilot.generation import Ask, Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.request import Completion

FAR = 18_431  # the first port of servers that are started here
# Each way would take the other's work for somebody else's, and leave it a core.
ALL_THREADS: dict[str, Any] = {"considerate": False}


def keys(options: argparse.Namespace) -> list[Completion]:
    """Return what somebody's editor asks, key by key."""
    notebooks = read(options.set)[1::2]
    steps = [step for trace in mixed(notebooks, options.requests) for step in trace.keystrokes]
    return [step.request(trigger="automatic", eagerness="always") for step in steps[: options.requests]]


def compare(names: Sequence[str], desks: Sequence[Desk], asked: Sequence[Completion]) -> None:
    """Ask two desks the same in turn; print mean times, what was evaluated, and how many answers agree."""
    times: list[list[float]] = [[], []]
    evaluated, same, texts = [0, 0], 0, [0, 0]
    for number, request in enumerate(asked):
        said: dict[int, list[str]] = {}
        for which in ((0, 1), (1, 0))[number % 2]:
            milliseconds, reply = desks[which].ask(request)
            assert not reply.error, reply.error
            times[which].append(milliseconds)
            evaluated[which] += reply.timings.prompt_tokens - reply.timings.cached_tokens
            said[which] = [item.text for item in reply.items]
            texts[which] += bool(said[which])
        same += said[0] == said[1]
    for name, each, tokens, count in zip(names, times, evaluated, texts, strict=True):
        print(
            f"{name}: a key takes {statistics.mean(each):.1f} ms on average, "
            f"{statistics.median(each):.1f} at the median; {tokens / len(asked):.2f} tokens evaluated; "
            f"{count} answers"
        )
    print(f"{names[1]} / {names[0]}: {sum(times[1]) / sum(times[0]):.3f} of the time", end="; ")
    print(
        f"{evaluated[1] / max(1, evaluated[0]):.3f} of the tokens; the same text {same} of {len(asked)} times"
    )


def seams(options: argparse.Namespace) -> None:
    """Compare this tree with another one, each behind its own server."""
    import unchanged

    tree = Path(__file__).resolve().parent.parent
    every = unchanged.requests(json.loads(gzip.decompress(options.set.read_bytes())), options.requests, 7)
    wanted = [request for request in every if request.path == "/complete" and request.user]

    def server(path: Path, scratch: Path) -> Any:
        models = Path(Desk().pilot.store.folder)
        given = argparse.Namespace(tree=path, threads=2, clock="real", models=models)
        return unchanged.Served(given, scratch)

    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as two,
        server(options.before, Path(one)) as before,
        server(tree, Path(two)) as after,
    ):
        times: list[list[float]] = [[], []]
        for number, request in enumerate(wanted):
            for which in ((0, 1), (1, 0))[number % 2]:
                begun = time.perf_counter()
                (before, after)[which].ask(request)
                times[which].append(time.perf_counter() - begun)
    ratio = sum(times[1]) / sum(times[0])
    print(f"{len(wanted)} keys: {1e3 * statistics.mean(times[0]):.1f} ms before, ", end="")
    print(f"{1e3 * statistics.mean(times[1]):.1f} ms after, {ratio:.3f}")


def isolated(options: argparse.Namespace) -> None:
    """Compare the engine in a child process with the one in this process."""
    asked = keys(options)
    desks = Desk(**ALL_THREADS), Desk(isolate=True, **ALL_THREADS)
    compare(("in process", "in a child process"), desks, asked)
    for desk in desks:
        desk.pilot.stop()


def killed(options: argparse.Namespace) -> None:
    """Kill the child process in mid-decode, again and again; say when the next suggestion comes."""
    from jupyter_turbopilot.request import Cell, Completion

    desk = Desk(isolate=True)
    source = "def mean(values):\n    return sum(values) / len(values)\n\n\ndef median(values):\n    "

    def request(number: int, **more: Any) -> Completion:
        text = f"# {number}\n{source}"
        return Completion(cells=[Cell(source=text)], offset=len(text), lines="multi", **more)

    worker = desk.pilot.worker
    waits, told = [], 0
    for number in range(options.times):
        _job, replies = desk.begin(request(number, max_tokens=400, stream=True))
        while not (reply := replies.within(60)) or not (reply.done or reply.items):
            pass
        assert not reply.done, "it ended before it could be killed"
        pid = worker.engine.pid if worker.engine else None
        assert pid
        os.kill(pid, signal.SIGKILL)
        begun = time.perf_counter()
        last = replies.last()
        told += last.error is not None
        _milliseconds, after = desk.ask(request(number, max_tokens=8))
        assert after.items, after
        waits.append(time.perf_counter() - begun)
        time.sleep(options.pause)
    alone = []
    for _ in range(3):
        fresh = Desk(isolate=True)
        alone.append(fresh.load_ms / 1000)
        fresh.pilot.stop()
    load = statistics.mean(alone)
    print(
        f"killed {options.times} times: {told} told why; the next suggestion came after "
        f"{statistics.mean(waits):.2f} s on average, {max(waits):.2f} at most; a load takes {load:.2f} s: "
        f"{statistics.mean(waits) / load:.2f}"
    )
    desk.pilot.stop()


@contextmanager
def served(port: int, *command: str, more: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; `more`: lines of its configuration."""
    import httpx

    config = tempfile.TemporaryDirectory()
    settings = "c.Turbopilot.considerate = False\nc.Turbopilot.results_memory = 0\n"
    (Path(config.name) / "jupyter_turbopilot_config.py").write_text(settings + more)
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"JUPYTER_CONFIG_DIR": config.name},
    )
    try:
        end = time.monotonic() + 120
        while True:
            assert time.monotonic() < end, "the server did not start"
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).json()
                if answer.get("ready", answer.get("status") == "ok"):
                    break
            except (httpx.HTTPError, ValueError):
                pass
            time.sleep(0.2)
        yield process
    finally:
        process.kill()
        process.wait()
        config.cleanup()


def our_server(port: int, more: str = "") -> Any:
    """Run `jupyter turbopilot serve`, which answers nothing from memory."""
    command = str(Path(sys.executable).with_name("jupyter-turbopilot"))
    return served(port, command, "serve", "--no-api-key", more=more)


def far_desk(*ports: int, **settings: Any) -> Desk:
    """Return a desk whose engine is a server on this machine."""
    urls = [f"http://127.0.0.1:{port}/v1" for port in ports]
    elsewhere = {"urls": urls, "vocabulary": "qwen2.5-coder-0.5b"} | settings
    return Desk(engine="remote", remote=TurbopilotRemote(**elsewhere), **ALL_THREADS)


def remote(options: argparse.Namespace) -> None:
    """Compare a server of ours on this machine, and llama-server, with the engine in this process."""
    from baseline import programs

    asked = keys(options)
    here = Desk(**ALL_THREADS)
    with our_server(FAR):
        there = far_desk(FAR)
        compare(("in process", "from our own server"), (here, there), asked)
        there.pilot.stop()
    theirs = [str(programs()["llama-server"]), "-m", str(default_weights())]
    with served(FAR + 1, *theirs, "-t", "2", "-c", "8192", "--no-webui", "-np", "1"):
        for name, more in (("with a vocabulary", {}), ("as text", {"vocabulary": "none"})):
            there = far_desk(FAR + 1, **more)
            compare(("in process", f"from llama-server, {name}"), (here, there), asked)
            there.pilot.stop()
    here.pilot.stop()


def failover(options: argparse.Namespace) -> None:
    """Kill the first of two addresses under load; count what was lost that had no token yet."""
    asked, together = keys(options), 8
    lost = cut = 0
    with our_server(FAR) as first, our_server(FAR + 1):
        desk = far_desk(FAR, FAR + 1)
        for at in range(0, len(asked), together):
            begun = [desk.begin(request)[1] for request in asked[at : at + together]]
            if at <= len(asked) // 2 < at + together:
                time.sleep(0.3)  # some of them have a token then, some have none
                first.kill()
            for replies in begun:
                reply = replies.last()
                lost += reply.error is not None and not reply.items
                cut += any(item.finish_reason != "stop" for item in reply.items)
        desk.pilot.stop()
    print(
        f"{len(asked)} requests, {together} at a time, the first of two addresses killed: {lost} lost "
        f"without a token, {cut} shorter than they would have been or cut by their length"
    )


def transformers(options: argparse.Namespace) -> None:
    """Compare texts with llama.cpp's on tiny random checkpoints, and say how soon a cancel takes effect."""
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.engine.transformers.checkpoint import TransformersOptions
    from jupyter_turbopilot.engine.transformers.loader import load
    from jupyter_turbopilot.models.convert import convert
    from tests.engine.transformers import checkpoints
    from tests.engine.transformers.test_engine import CLOSE, SOURCE, ids, snippets, written

    for family in ("qwen2", "bigcode-shared"):
        with tempfile.TemporaryDirectory() as scratch:
            folder = checkpoints.write(Path(scratch), family)
            ours = load(folder, TransformersOptions(), name=family)
            path = convert(folder, Path(scratch) / "model.gguf", outtype="f32")
            theirs = LlamaEngine(path, name=family, context_size=256, threads=2)
            same = close = 0
            for text in snippets(options.prompts):
                prompt = ours.vocabulary.tokenize(text)[:180]
                one, other = (ids(written(engine, prompt, max_tokens=24)) for engine in (ours, theirs))
                if one == other:
                    same += 1
                    continue
                at = next(n for n in range(len(one)) if one[: n + 1] != other[: n + 1])
                (token,) = written(ours, [*prompt, *one[:at]], max_tokens=1, top=4)
                told = dict(token.top)
                gap = abs(told.get(one[at], 0.0) - told.get(other[at], -9.0))
                close += gap <= CLOSE
            print(f"{family}: {same} of {options.prompts} texts the same, {close} more within {CLOSE}")
            ours.close()
            theirs.close()
    engine = load(options.folder, TransformersOptions(), name="whole size")
    prompt = (engine.vocabulary.tokenize(SOURCE) * 20)[:1500]
    steps, waits = [], []
    for number in range(options.cancels):
        run = engine.start(Ask([prompt[number], *prompt], Sampling(max_tokens=8)))
        assert run
        begun = time.perf_counter()
        engine.step([run], Cancel())
        steps.append(time.perf_counter() - begun)
        attention = Cancel()
        raised: list[float] = []
        delay = random.Random(number).random() * steps[-1]  # noqa: S311 - anywhere in a step

        def cancel(attention: Cancel = attention, raised: list[float] = raised) -> None:
            raised.append(time.perf_counter())
            attention.set("superseded")

        timer = threading.Timer(delay, cancel)
        timer.start()
        while not attention.is_set():
            engine.step([run], attention)
        waits.append(time.perf_counter() - raised[0])
        timer.join()
        engine.release(run)
    late = sorted(waits)[int(0.95 * len(waits))]
    print(
        f"a step takes {statistics.median(steps) * 1000:.0f} ms; from cancel to free {late * 1000:.0f} ms at "
        f"the 95th percentile of {len(waits)}: {late / statistics.median(steps):.2f}"
    )
    engine.close()


def day(options: argparse.Namespace) -> None:
    """Type at a person's pace; count what a paid service would get, which is sent nothing ahead."""
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.evaluate import traces, typist
    from jupyter_turbopilot.shell.in_process import InProcess

    local = InProcess(Turbopilot(keep_sequences=False, learning=False, considerate=True))
    local.wait()
    engine = local.pilot.worker.engine
    assert engine
    engine.abilities = replace(engine.abilities, holds=False, ahead=False, top=0)
    asks: list[Ask] = []
    start = engine.start
    engine.start = lambda ask: (asks.append(ask), start(ask))[1]  # type: ignore[method-assign]
    chosen = traces.of_kind(read(options.set)[1::2], "append", options.requests, every=1)
    keys = sum(len(trace.keystrokes) for trace in chosen)
    result = typist.on_a_clock(local, chosen, lambda _: None, options.key / 1000)
    local.close()
    sent = sum(ask.usage.prompt_tokens for ask in asks)
    got = sum(ask.usage.predicted_tokens for ask in asks)
    print(
        f"{keys} keys at {options.key} ms: {len(asks)} requests, {sent} tokens sent and {got} written, "
        f"that is {len(asks) / keys:.2f} requests, {sent / keys:.0f} and {got / keys:.1f} tokens a key; "
        f"{result.total.share_saved:.3f} saved"
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for run, requests in ((seams, 250), (isolated, 250), (remote, 200), (failover, 200)):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.add_argument("--set", type=Path, required=True)
        command.add_argument("--requests", type=int, default=requests)
        command.set_defaults(run=run)
        if run is seams:
            command.add_argument("--before", type=Path, required=True)
    command = commands.add_parser("transformers", help=transformers.__doc__)
    command.add_argument("--folder", type=Path, required=True, help="a checkpoint of a useful size")
    command.add_argument("--prompts", type=int, default=100)
    command.add_argument("--cancels", type=int, default=60)
    command.set_defaults(run=transformers)
    command = commands.add_parser("day", help=day.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--requests", type=int, default=400)
    command.add_argument("--key", type=int, default=200, help="milliseconds between two keys")
    command.set_defaults(run=day)
    command = commands.add_parser("killed", help=killed.__doc__)
    command.add_argument("--times", type=int, default=20)
    command.add_argument("--pause", type=float, default=11.0, help="seconds before the next one")
    command.set_defaults(run=killed)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
