"""The cost of importing the package."""

import subprocess
import sys


def modules_after(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_of_the_package_loads_no_heavy_module() -> None:
    loaded = modules_after("import jupyter_turbopilot")
    assert not loaded & {"llama_cpp", "numpy", "IPython", "tornado", "httpx", "msgspec"}


def test_loading_the_magics_imports_little_and_reads_no_metadata() -> None:
    code = (
        "import importlib.metadata as metadata\n"
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "shell = S.instance()\n"
        "metadata.entry_points = metadata.distributions = metadata.version = None\n"
        "shell.run_line_magic('load_ext', 'jupyter_turbopilot')"
    )
    loaded = modules_after(code)
    assert "jupyter_turbopilot.terminal.magics" in loaded
    assert not loaded & {"llama_cpp", "httpx", "jupyter_server", "msgspec", "numpy"}
    assert len([name for name in loaded if name.startswith("jupyter_turbopilot")]) <= 25


def test_command_line_help_imports_no_heavy_module() -> None:
    heavy = {
        "llama_cpp",
        "numpy",
        "torch",
        "httpx",
        "psutil",
        "msgspec",
        "traitlets",
        "IPython",
        "jupyter_server",
    }
    assert not modules_after("from jupyter_turbopilot import cli; cli.parser().format_help()") & heavy


def test_server_extension_imports_no_engine_while_jupyter_waits() -> None:
    code = (
        "import jupyter_server.serverapp\n"
        "from jupyter_turbopilot.jupyter.extension import TurbopilotExtension as Extension\n"
        "Extension()._read_settings()"
    )
    own = {name for name in modules_after(code) if name.startswith("jupyter_turbopilot.")}
    assert not {name for name in own if ".engine" in name or ".models" in name}
    assert len(own) <= 20
