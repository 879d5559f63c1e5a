"""`%complete`, `%%complete` and `%turbopilot`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.shell.output import Output, printable
from jupyter_turbopilot.study.words import holdings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_turbopilot.hierarchy.event import Event
    from jupyter_turbopilot.request import Completion, Hierarchy
    from jupyter_turbopilot.shell.in_process import InProcess

MARK = "<|>"
_NOTHING = "Nothing to complete. Use %complete CODE, or %%complete with the code on the lines below."
_FUNCTION = (
    "Write on the lines below %%complete --hierarchical what the function has to do, in words or as a `def` "
    "line with a docstring."
)
_LOADED = "_turbopilot_magics"
_BUILDING = {
    None: "being built",
    "kernel": "paused while a kernel is busy",
    "battery": "paused on battery",
}
_SWITCHES = {"--fill", "--replace", "--local", "--hierarchical", "--test", "-h", "--help"}


def load(shell: InteractiveShell) -> None:
    """Register the magics; nothing heavy is imported until one is used."""
    if getattr(shell, _LOADED, None) is None:
        magics = TurbopilotMagics(shell)
        shell.register_magics(magics)
        shell.input_transformers_cleanup.append(_line_form)
        setattr(shell, _LOADED, magics)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away and give the memory back."""
    magics: TurbopilotMagics | None = getattr(shell, _LOADED, None)
    if magics:
        magics.off()
        if magics.local:
            magics.local.close()
        for kind, name in (("line", "complete"), ("cell", "complete"), ("line", "turbopilot")):
            shell.magics_manager.magics[kind].pop(name, None)
        shell.input_transformers_cleanup.remove(_line_form)
        setattr(shell, _LOADED, None)


def _at_mark(code: str) -> tuple[str, int]:
    """Return code without its marker, and where that was."""
    if code.count(MARK) != 1:
        raise UsageError(f"--fill needs the marker {MARK} exactly once in the code.")
    return code.replace(MARK, ""), code.index(MARK)


def _index(memory: dict[str, Any] | None) -> str:
    """Say how far the index of the person's own code is."""
    if not memory:
        return ""
    if memory["trouble"]:
        return f"\nIndex of your code: none ({memory['trouble']})"
    building = f", {_BUILDING[memory['paused']]}" if memory["building"] else ""
    return f"\nIndex of your code: {memory['files']} of {memory['of']} files in {memory['root']}{building}"


def _study(study: dict[str, Any] | None) -> str:
    """Say that a log is kept for a study."""
    if not study:
        return ""
    file = f", in {study['file']}" if study["file"] else ""
    trouble = f"; it cannot be written: {study['trouble']}" if study["trouble"] else ""
    return f"\nStudy log: on ({holdings(text=study['text'])}{file}){trouble}"


def _line_form(lines: list[str]) -> list[str]:
    """Turn `%%complete` with nothing below it into `%complete`: IPython runs no cell magic without a cell."""
    name, _, rest = "".join(lines[:1]).strip().partition(" ")
    if len(lines) != 1 or name != "%%complete":
        return lines
    # As the call itself: a question mark at the end of what is asked for is no question to IPython.
    return [f"get_ipython().run_line_magic('complete', {rest!r})\n"]


# So IPython leaves it out where it asks whether a cell is complete: who types one has its first line first.
_line_form.has_side_effects = True  # type: ignore[attr-defined]


@magics_class
class TurbopilotMagics(Magics):
    """Code completion in a shell."""

    shell: Any

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.settings = Turbopilot(parent=shell)
        self.local: InProcess | None = None

    @property
    def _in_terminal(self) -> bool:
        return not hasattr(self.shell, "kernel")

    # %turbopilot --------------------------------------------------------------------------------------------

    @magic_arguments()
    @argument("action", nargs="?", default="status", choices=["status", "on", "off"], help="what to do")
    @line_magic
    def turbopilot(self, line: str) -> None:
        """Show how Turbopilot is doing, or switch ghost text in the terminal's prompt on or off."""
        action = parse_argstring(self.turbopilot, line).action
        if action == "off":
            self.off()
            print("Ghost text is off.")  # noqa: T201 - a magic talks to its user
        elif action == "on":
            self._on()
        else:
            print(self._status())  # noqa: T201

    def _on(self) -> None:
        if getattr(self.shell, "pt_app", None) is None:
            raise UsageError(
                "Ghost text needs the terminal's full prompt. In JupyterLab it is on by default; "
                "with --simple-prompt there is none. %%complete works everywhere."
            )
        from jupyter_turbopilot.shell import terminal

        local = self._local_pilot()
        terminal.turn_on(self.shell, local)
        print("Ghost text is on: Right accepts it, F3 requests a suggestion, F4 another one.")  # noqa: T201
        if memory := local.pilot.memory:
            print(  # noqa: T201
                f"An index of the code in {memory.source.root} is kept in {memory.builder.place}. "
                "With c.Turbopilot.memory = False none is."
            )
        if study := local.pilot.completer.study:
            print(f"A study log is kept in {study.name} ({holdings(text=study.text)}).")  # noqa: T201

    def off(self) -> None:
        """Stop ghost text in the prompt."""
        if getattr(self.shell, "pt_app", None) is not None:
            from jupyter_turbopilot.shell import terminal

            if terminal.is_on(self.shell):
                terminal.turn_off(self.shell)

    def _status(self) -> str:
        try:
            if self._in_terminal or self.local:
                from jupyter_turbopilot.server.describe import describe_health

                pilot = self._local_pilot().pilot
                health = describe_health(pilot, pilot.memory, own=True)
                where = "in this process"
            else:
                health = self._remote().health()
                where = "in the Jupyter server"
        except TurbopilotError as error:
            return f"Turbopilot: {error.message}"
        state = "ready" if health["ready"] else health["reason"] or "not loaded yet"
        speed = f", last suggestion in {health['last_ms']:.0f} ms" if health["last_ms"] else ""
        week = health.get("week") or {}
        taken = f", taken {week['taken']} of {week['shown']} this week" if week.get("shown") else ""
        ghost = ""
        if self._in_terminal:
            from jupyter_turbopilot.shell import terminal

            ghost = f"\nGhost text: {'on' if terminal.is_on(self.shell) else 'off (%turbopilot on)'}"
        index = _index(health.get("memory"))
        study = _study(health.get("study"))
        return f"Turbopilot: {health['model']} {where}, {state}{speed}{taken}{ghost}{index}{study}"

    # %complete ----------------------------------------------------------------------------------------------

    @magic_arguments()
    @argument("-n", "--length", type=int, default=None, help="longest answer in tokens")
    @argument("-t", "--temperature", type=float, default=0.0, help="0 for the likeliest text, up to 2")
    @argument("-a", "--alternatives", type=int, default=1, help="how many answers, up to 8")
    @argument("-m", "--model", default=None, help="a model to load in this process, from now on")
    @argument("--lines", choices=["auto", "single", "multi"], default=None, help="one line or several")
    @argument("--fill", action="store_true", help=f"complete at the marker {MARK} instead of the end")
    @argument("--replace", action="store_true", help="replace this cell instead of filling the next")
    @argument("--local", action="store_true", help="load a model in this process if no server answers")
    @argument(
        "--hierarchical",
        action="store_true",
        help="write a function from a stub or an instruction, with the functions it calls",
    )
    @argument(
        "--test",
        action="store_true",
        help="with --hierarchical: run the doctests of your stub, write again what fails",
    )
    @argument("-h", "--help", action="store_true", help="show this help")
    @argument("code", nargs="*", help="the code, in the line form")
    @line_cell_magic
    def complete(self, line: str, cell: str | None = None) -> None:
        """Complete code with the model; the result goes into the next input, to be read and run by you."""
        options, code = self._read(line, cell)
        if options.help:
            print(self.complete.__doc__)  # noqa: T201
            return
        if not code.strip():
            raise UsageError(_FUNCTION if options.hierarchical else _NOTHING)
        if options.hierarchical:
            self._write_functions(options, code)
            return
        if options.test:
            raise UsageError("--test runs the doctests of what --hierarchical writes: give both.")
        if cell is not None and not options.fill:
            # A cell's text always ends with a newline, whether its author pressed Enter or not.
            code = code.removesuffix("\n")
        code, offset = _at_mark(code) if options.fill else (code, len(code))
        from jupyter_turbopilot.shell.history import request_at
        from jupyter_turbopilot.shell.importing import imports_for
        from jupyter_turbopilot.suggestion.imports import with_imports

        request = request_at(
            self.shell,
            code,
            offset,
            trigger="invoke",
            lines=options.lines or ("multi" if cell is not None and offset == len(code) else "auto"),
            stream=options.alternatives == 1,
            n=max(1, min(8, options.alternatives)),
            max_tokens=max(1, min(2048, options.length)) if options.length is not None else None,
            temperature=max(0.0, min(2.0, options.temperature)),
        )
        output = Output(self._in_terminal, code[:offset], code[offset:])
        try:
            texts = self._ask(request, options, output)
        except TurbopilotError as error:
            print(f"Turbopilot: {error.message}", file=sys.stderr)  # noqa: T201
            return
        except KeyboardInterrupt:
            output.stop()
            self._tell("Stopped.")
            return
        if not any(texts):
            self._tell("Turbopilot has nothing to suggest here.")
            return
        output.alternatives(texts)
        pilot = self.local.pilot if self.local else None
        memory = pilot.memory if pilot and pilot.settings.may_send_memory else None
        imports = imports_for(self.shell, request, texts[0], memory)
        if imports:
            self._tell(f"Adds {'; '.join(imports)}")
        whole = with_imports(code[:offset] + texts[0] + code[offset:], imports)
        self.shell.set_next_input(whole, replace=options.replace)

    def _tell(self, words: str) -> None:
        """Say what is no error."""
        from jupyter_turbopilot.shell.tree_output import TreeOutput

        TreeOutput(terminal=self._in_terminal).say(words)

    def _write_functions(self, options: Any, code: str) -> None:
        """Write a function with the functions that it calls."""
        from jupyter_turbopilot.shell.hierarchy import write
        from jupyter_turbopilot.shell.history import functions_for
        from jupyter_turbopilot.shell.tree_output import TreeOutput

        if options.fill or options.lines or options.temperature or options.alternatives != 1:
            raise UsageError("--hierarchical takes no --fill, --lines, --temperature or --alternatives.")
        request = functions_for(self.shell, code, options.length)

        def tell(words: str) -> None:
            output.say(f"Turbopilot: {words}" if self._in_terminal else words)

        def complain(words: str) -> None:
            print(f"Turbopilot: {printable(words)}", file=sys.stderr)  # noqa: T201

        output = TreeOutput(terminal=self._in_terminal)
        try:
            written = write(request, partial(self._events, options), output, tell, test=options.test)
        except TurbopilotError as error:
            complain(error.message)
            return
        if written.stopped:
            tell("Stopped." if written.source else "Stopped before a function was finished.")
        if written.broken:
            rest = "What is finished is in the next cell." if written.source else "Nothing was finished."
            complain(f"{written.broken} {rest}")
        if written.undefined:
            tell(f"Not defined: {', '.join(written.undefined)}")
        if written.source:
            self.shell.set_next_input(written.source.removesuffix("\n"), replace=options.replace)

    def _events(self, options: Any, request: Hierarchy) -> Iterator[Event]:
        """Yield what happens while functions are written, in this process or in the server."""
        if self._in_terminal or options.local or options.model:
            yield from self._local_pilot(options.model).hierarchy(request)
            return
        remote = self._remote()
        try:
            yield from remote.hierarchy(request)
        finally:
            remote.close()

    def _read(self, line: str, cell: str | None) -> tuple[Any, str]:
        if cell is not None:
            options = parse_argstring(self.complete, line)
            if options.code:
                raise UsageError(
                    f"Unexpected {' '.join(options.code)!r}: put the code on the lines below %%complete."
                )
            return options, cell
        # The line form's code is taken as it stands, quotes and spaces included: options come before it.
        words = line.split(" ")
        count = 0
        while count < len(words) and words[count].startswith("-"):
            count += 1 if words[count] in _SWITCHES or "=" in words[count] else 2
        options = parse_argstring(self.complete, " ".join(words[:count]))
        return options, " ".join(words[count:])

    def _ask(self, request: Completion, options: Any, output: Output) -> list[str]:
        if self._in_terminal or options.local or options.model:
            local = self._local_pilot(options.model)
            if request.n > 1:
                return [item.text for item in local.last(request).items]
            texts = (reply.items[0].text if reply.items else "" for reply in local.replies(request))
            return [output.follow(texts)]
        remote = self._remote()
        try:
            if request.n > 1:
                return [str(item["text"]) for item in remote.complete(request)["items"]]
            return [output.follow(str(frame["text"]) for frame in remote.stream(request))]
        finally:
            remote.close()

    def _remote(self) -> Any:
        from jupyter_turbopilot.errors import NotReadyError
        from jupyter_turbopilot.server import runtime
        from jupyter_turbopilot.shell.server_client import ServerClient

        server = runtime.find()
        if server is None:
            raise NotReadyError(
                "This kernel was not started by a Jupyter server with Turbopilot. Restart the server "
                "with Turbopilot enabled, or load a copy of the model in this kernel: %%complete --local",
                code="no_server",
            )
        return ServerClient(server)

    def _local_pilot(self, model: str | None = None) -> Any:
        from jupyter_turbopilot.shell.in_process import InProcess

        local = self.local or InProcess(self.settings)
        try:
            if model:
                local.use(model)
        except BaseException:
            if local is not self.local:
                local.close()
            raise
        self.local = local
        return local
