"""The magics `%complete`, `%%complete`, `%fix` and `%turbopilot`."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext, suppress
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from traitlets import TraitError

from jupyter_turbopilot.protocol.errors import ConfigurationError, TurbopilotError
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.cell_input import MARK, as_call, at_mark, without_blank_end
from jupyter_turbopilot.terminal.numeric_options import real, whole
from jupyter_turbopilot.terminal.output import (
    Output,
    index_status,
    model_status,
    printable,
    say,
    usage_log_status,
)
from jupyter_turbopilot.terminal.plugin import terminal_plugins
from jupyter_turbopilot.util.bounds import (
    MOST_FUNCTION_TOKENS,
    MOST_SUGGESTIONS,
    MOST_TEMPERATURE,
    MOST_TOKENS,
)
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.registry import FAULTS

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.terminal.fixes import CorrectedInput
    from jupyter_turbopilot.terminal.in_process import InProcess
    from jupyter_turbopilot.terminal.plugin import TerminalPlugin
    from jupyter_turbopilot.terminal.server_client import ServerClient

_NOTHING = "Nothing to complete. Use %complete CODE, or %%complete with the code on the lines below."
_ONLY_IN_A_TERMINAL = (
    "%turbopilot off works in a terminal. In JupyterLab, click Turbopilot in the status bar, then Turn Off."
)
_LOADED = "_turbopilot_magics"
_SHORT_WITH_VALUE = re.compile("-[a-z].")  # as -n5
_SWITCHES = {"--fill", "--replace", "--local", "-h", "--help"}


def load(shell: InteractiveShell) -> None:
    """Register the magics; heavy modules are imported at their first use."""
    if getattr(shell, _LOADED, None) is None:
        magics = TurbopilotMagics(shell)
        shell.register_magics(magics)
        shell.events.register("post_run_cell", magics.executed)
        shell.input_transformers_cleanup.insert(0, as_call)
        setattr(shell, _LOADED, magics)
        try:
            _ = magics.settings
        except ConfigurationError as error:
            complain(error)


def unload(shell: InteractiveShell) -> None:
    """Remove the magics and free the memory."""
    magics: TurbopilotMagics | None = getattr(shell, _LOADED, None)
    if magics:
        magics.off()
        if magics.local:
            magics.local.close()
        for kind, name in (
            ("line", "complete"),
            ("cell", "complete"),
            ("line", "fix"),
            ("line", "turbopilot"),
        ):
            shell.magics_manager.magics[kind].pop(name, None)
        shell.events.unregister("post_run_cell", magics.executed)
        shell.input_transformers_cleanup.remove(as_call)
        setattr(shell, _LOADED, None)


def complain(error: TurbopilotError, rest: str = "") -> None:
    print(f"Turbopilot: {printable(error.message)} {rest}".strip(), file=sys.stderr)


def _call_plugin(plugin: TerminalPlugin, method: str, *given: object) -> Any:
    """Call a method of a plugin; print an unexpected error and return None."""
    try:
        return getattr(plugin, method)(*given)
    except (UsageError, TurbopilotError):
        raise
    except FAULTS as error:
        print(
            f"Turbopilot: {type(plugin).__module__} failed: {type(error).__name__}: {error}", file=sys.stderr
        )
        return None


@cache
def _plugins() -> list[TerminalPlugin]:
    """Return all plugins. They add their options to `%%complete` at its first use."""
    parser, plugins = TurbopilotMagics.complete.parser, []
    for plugin in terminal_plugins():
        try:
            for name, text in plugin.switches:
                parser.add_argument(name, action="store_true", help=text.replace("%", "%%"))
        except FAULTS as error:  # for example if another option has this name
            print(f"Turbopilot: Skipped the plugin {type(plugin).__module__}: {error}", file=sys.stderr)
        else:
            plugins.append(plugin)
    TurbopilotMagics.complete.__doc__ = parser.format_help()
    return plugins


@magics_class
class TurbopilotMagics(Magics):
    """Code completion in a shell."""

    shell: Any

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.local: InProcess | None = None
        # The request and the completions of the last call with --alternatives.
        self._alternatives: tuple[Completion, list[str]] | None = None
        self._failed: tuple[BaseException, int] | None = None  # error and number of the last input
        self._corrected_input: CorrectedInput | None = None  # of the last input in a terminal

    @cached_property
    def settings(self) -> Turbopilot:
        """Settings from IPython's configuration."""
        try:
            settings = Turbopilot(parent=self.shell)
            settings.validate_sections()
        except (AttributeError, TraitError, TypeError, ValueError) as error:
            raise ConfigurationError("IPython's configuration", error) from error
        return settings

    @property
    def in_terminal(self) -> bool:
        return not hasattr(self.shell, "kernel")

    # %turbopilot --------------------------------------------------------------------------------------------

    @magic_arguments()
    @argument("action", nargs="?", default="status", choices=["status", "on", "off"], help="what to do")
    @line_magic
    def turbopilot(self, line: str) -> None:
        """Show the status of Turbopilot, or switch ghost text in the terminal's prompt on or off."""
        action = parse_argstring(self.turbopilot, line).action
        if action == "off":
            self.off()
            print("Ghost text is off." if self.in_terminal else _ONLY_IN_A_TERMINAL)
        elif action == "on":
            try:
                self._on()
            except TurbopilotError as error:
                complain(error, "Ghost text was not turned on. Run `%turbopilot on` again after that.")
        else:
            print(self._status())

    def _on(self) -> None:
        if getattr(self.shell, "pt_app", None) is None:
            raise UsageError(
                "Ghost text needs the full prompt of IPython in a terminal, which is not available with "
                "--simple-prompt or in `jupyter console`. JupyterLab has its own, which is on by default. "
                "%complete and %%complete need no prompt."
            )
        from jupyter_turbopilot.engine.lifecycle import not_ready
        from jupyter_turbopilot.protocol.phase import Phase
        from jupyter_turbopilot.terminal import terminal

        local = self.local_pilot()
        local.check()
        local.begin()
        state = local.pilot.worker.state
        if state.phase is Phase.FAILED:
            raise not_ready(state)
        terminal.turn_on(self.shell, local)
        begun = "is on" if state.ready else f"appears as soon as {state.model} is loaded (see %turbopilot)"
        print(f"Ghost text {begun}: Right accepts it, F3 requests a suggestion, F4 another one.")
        if index := local.pilot.notebook_index:
            print(
                f"Turbopilot indexes the code in {index.source.root}; the index is {index.builder.path}. "
                "Set c.Turbopilot.notebook_index = False to turn this off."
            )
        for listener in local.pilot.completer.listeners:
            if listener.notice:
                print(listener.notice)

    def off(self) -> None:
        if getattr(self.shell, "pt_app", None) is not None:
            from jupyter_turbopilot.terminal import terminal

            if terminal.is_on(self.shell):
                terminal.turn_off(self.shell)

    def _status(self) -> str:
        try:
            if self.in_terminal or self.local:
                from jupyter_turbopilot.jupyter.describe import describe_health

                pilot = self.local_pilot().pilot
                pilot.retry()
                health = describe_health(pilot, pilot.notebook_index, own=True, logged=True)
                where = "in this process"
            else:
                health = self.remote().health()
                where = "in the Jupyter server"
        except TurbopilotError as error:
            return f"Turbopilot: {error.message}"
        ghost = ""
        if self.in_terminal:
            from jupyter_turbopilot.terminal import terminal

            on = "on" if health["ready"] else "waiting for the model"
            ghost = f"Ghost text: {on if terminal.is_on(self.shell) else 'off (%turbopilot on)'}"
        lines = (
            f"Turbopilot: {model_status(health, where)}",
            ghost,
            index_status(health.get("notebook_index")),
            usage_log_status(health.get("usage_log")),
        )
        more = (_call_plugin(plugin, "status", health) for plugin in _plugins())
        return "\n".join(map(str, filter(None, (*lines, *more))))

    # %fix ---------------------------------------------------------------------------------------------------

    def executed(self, result: ExecutionResult) -> None:
        """Look for a fix if an input failed; in a terminal, describe it."""
        self._failed = self._corrected_input = None
        error = result.error_before_exec or result.error_in_exec
        if error is None or result.info is None or not result.info.store_history:
            return
        self._failed = error, len(self.shell.history_manager.input_hist_raw) - 1
        if self.in_terminal:  # in notebooks, the front end shows the fix
            self._corrected_input = self._find_corrected_input()
        if self._corrected_input:
            print(f"%fix: {printable(self._corrected_input.description)}")

    def _find_corrected_input(self) -> CorrectedInput | None:
        from jupyter_turbopilot.terminal.fixes import corrected_input_of

        pilot = self.local.pilot if self.local else None
        notebook_index = pilot.notebook_index if pilot else None
        with suppress(ConfigurationError):
            return self._failed and corrected_input_of(
                self.shell, *self._failed, self.settings, notebook_index
            )
        return None

    @line_magic
    def fix(self, _line: str) -> None:
        """Put the corrected input at the prompt, for you to check and run."""
        correction = self._corrected_input or self._find_corrected_input()
        if correction is None:
            raise UsageError("There is no fix for the last input.")
        self.shell.set_next_input(correction.source.removesuffix("\n"))

    # %complete ----------------------------------------------------------------------------------------------

    @magic_arguments()
    @argument(
        "-n",
        "--length",
        type=whole(1, MOST_FUNCTION_TOKENS),
        default=None,
        help=f"maximum length in tokens, up to {MOST_TOKENS}; with --helpers {MOST_FUNCTION_TOKENS}",
    )
    @argument(
        "-t",
        "--temperature",
        type=real(0.0, MOST_TEMPERATURE),
        default=0.0,
        help=f"0 for the likeliest text, up to {MOST_TEMPERATURE:g}",
    )
    @argument(
        "-a",
        "--alternatives",
        type=whole(1, MOST_SUGGESTIONS),
        default=1,
        help=f"number of completions, up to {MOST_SUGGESTIONS}; they are numbered",
    )
    @argument(
        "--use",
        type=whole(1, MOST_SUGGESTIONS),
        metavar="NUMBER",
        default=None,
        help="insert this one of the last --alternatives; takes no code",
    )
    @argument("-m", "--model", default=None, help="model to load in this process from now on")
    @argument("--lines", choices=["auto", "single", "multi"], default=None, help="one line or several")
    @argument("--fill", action="store_true", help=f"complete at the marker {MARK} instead of the end")
    @argument("--replace", action="store_true", help="replace this cell instead of filling the next")
    @argument(
        "--local", action="store_true", help="load the model in this process, instead of using a server"
    )
    @argument("-h", "--help", action="store_true", help="show this help")
    @argument("code", nargs="*", help="the code, in the line form")
    @line_cell_magic
    def complete(self, line: str, cell: str | None = None) -> None:
        """Complete code with the model; the result goes into the next input, for you to check and run."""
        options, code = self._read(line, cell)
        if options.help:
            print(self.complete.__doc__)
            return
        if options.use:
            self._use(options, code)
            return
        if any(_call_plugin(plugin, "complete", self, options, code) for plugin in _plugins()):
            return
        if not code.strip():
            raise UsageError(_NOTHING)
        self._complete(options, code, is_cell=cell is not None)

    def _complete(self, options: Any, code: str, *, is_cell: bool) -> None:
        """Complete code, and put the first completion into the next input."""
        if (options.length or 1) > MOST_TOKENS:
            raise UsageError(f"--length must be a whole number from 1 to {MOST_TOKENS}.")
        if is_cell and not options.fill:
            code = without_blank_end(code, is_indented_by_prompt=self.in_terminal)
        code, offset = at_mark(code) if options.fill else (code, len(code))
        from jupyter_turbopilot.terminal.history import request_at

        request = request_at(
            self.shell,
            code,
            offset,
            trigger="invoke",
            lines=options.lines or ("multi" if is_cell and offset == len(code) else "auto"),
            stream=options.alternatives == 1,
            n=options.alternatives,
            max_tokens=options.length,
            temperature=options.temperature,
        )
        output = Output(self.in_terminal, code[:offset], code[offset:])
        try:
            texts = [*filter(None, self._ask(request, options, output))]
        except TurbopilotError as error:
            complain(error)
            return
        except KeyboardInterrupt:
            output.stop()
            self._notify("Stopped.")
            return
        if not texts:
            self._notify("Turbopilot has nothing to suggest here.")
            return
        if request.n > 1:
            output.alternatives(texts)
            self._alternatives = request, texts
            if len(texts) > 1:
                self._notify(
                    "The next input contains the first one. For another, run: %complete --use NUMBER"
                )
        self._insert(request, texts[0], replace=options.replace)

    def _use(self, options: Any, code: str) -> None:
        default = self.complete.parser.get_default
        given = {name for name, value in vars(options).items() if (value or None) != (default(name) or None)}
        if code.strip() or given - {"use", "replace"}:
            raise UsageError("--use takes no code, and no other option than --replace.")
        if not self._alternatives:
            raise UsageError(
                "There are no alternatives yet. Run %%complete --alternatives 3 on your code first."
            )
        request, texts = self._alternatives
        if options.use > (most := len(texts)):
            raise UsageError(f"--use must be a whole number from 1 to {most}, not '{options.use}'.")
        self._insert(request, texts[options.use - 1], replace=options.replace)

    def _insert(self, request: Completion, text: str, *, replace: bool) -> None:
        """Put the code with a completion into the next input."""
        from jupyter_turbopilot.analysis.imports import with_imports
        from jupyter_turbopilot.terminal.history import imports_for

        pilot = self.local.pilot if self.local else None
        notebook_index = pilot.notebook_index if pilot and pilot.settings.may_send_index else None
        imports = imports_for(self.shell, request, text, notebook_index)
        if imports:
            self._notify(f"Adds {'; '.join(imports)}")
        self.shell.set_next_input(
            with_imports(request.prefix + text + request.suffix, imports), replace=replace
        )

    def _notify(self, words: str) -> None:
        say(words, terminal=self.in_terminal)

    def _read(self, line: str, cell: str | None) -> tuple[Any, str]:
        if cell is not None:
            options = parse_argstring(self.complete, line)
            if options.code:
                raise UsageError(
                    f"Unexpected {' '.join(options.code)!r}: put the code on the lines below %%complete."
                )
            return options, cell
        # In the line form, the code is used as typed, with quotes and spaces: options come before it.
        switches = _SWITCHES.union(*(dict(plugin.switches) for plugin in _plugins()))
        words = line.split(" ")
        count = 0
        while count < len(words) and words[count].startswith("-"):
            has_value = "=" in words[count] or _SHORT_WITH_VALUE.match(words[count])
            count += 1 if words[count] in switches or has_value else 2
        options = parse_argstring(self.complete, " ".join(words[:count]))
        if options.code:
            raise UsageError(f"Unexpected {' '.join(options.code)!r}: put the options first, then the code.")
        return options, " ".join(words[count:])

    def _ask(self, request: Completion, options: Any, output: Output) -> list[str]:
        if self.is_local(options):
            local = self.local_pilot(options.model)
            if request.n > 1:
                return [item.text for item in local.last(request).items]
            texts = (reply.items[0].text if reply.items else "" for reply in local.replies(request))
            return [output.follow(texts)]
        from jupyter_turbopilot.terminal.server_client import Text

        remote = self.remote()
        try:
            if request.n > 1:
                return remote.complete(request)
            return [output.follow(frame.text for frame in remote.frames("complete", request, Text))]
        finally:
            remote.close()

    def is_local(self, options: Any) -> bool:
        """Return whether to complete in this process: on request, or with a loaded model and no server."""
        if self.in_terminal or options.local or options.model:
            return True
        from jupyter_turbopilot.jupyter import runtime

        return self.local is not None and runtime.find() is None

    def remote(self) -> ServerClient:
        """Return a client for the server that started this kernel."""
        from jupyter_turbopilot.jupyter import runtime
        from jupyter_turbopilot.protocol.errors import NotReadyError
        from jupyter_turbopilot.terminal.server_client import ServerClient

        server = runtime.find()
        if server is None:
            raise NotReadyError(
                "No Jupyter server with Turbopilot started this kernel. To load the model in this kernel, "
                "run the command once with --local. If JupyterLab started the kernel, run `jupyter "
                "turbopilot doctor` to find the problem in its server.",
                code="no_server",
            )
        return ServerClient(server)

    def local_pilot(self, model: str | None = None) -> Any:
        """Return the model in this process; switch to `model` before."""
        from jupyter_turbopilot.terminal.in_process import InProcess

        local = self.local or InProcess(self.settings, self._notify)
        with nullcontext() if self.local else on_failure(local.close):
            if model:
                local.use(model)
        self.local = local
        return local
