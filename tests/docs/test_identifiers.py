"""Docstrings, comments and pages name identifiers, parameters and files that exist."""

import ast
import builtins
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from jupyter_turbopilot.jupyter.routes.table import CORE
from jupyter_turbopilot.terminal.commands.command import ELSEWHERE
from jupyter_turbopilot.util.registry import OWN, found, registered
from tests.docs.pages import ROOT

FOLDERS = [
    "docs/_static",
    "jupyter_turbopilot",
    "packages",
    "research",
    "scripts",
    "tests",
    ".github/workflows",
]
FOLDERS += [f"labextension/{name}" for name in ("demo", "models", "schema", "src", "style", "ui-tests")]
SUFFIXES = {"", ".py", ".ts", ".mjs", ".cjs", ".js", ".css", ".json", ".toml", ".yml", ".yaml", ".lock"}
PATHS = [
    *ROOT.glob("*"),
    *ROOT.glob("labextension/*"),
    *(p for name in FOLDERS for p in (ROOT / name).rglob("*")),
]
CODE = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8", "replace")
    for path in PATHS
    if path.suffix in SUFFIXES and path.is_file() and path != Path(__file__)
}
MODULES = {
    name: ast.parse(text)
    for name, text in CODE.items()
    if re.match(r"(jupyter_turbopilot|research/turbopilot_research|packages/\w+/turbopilot_\w+)/.*\.py", name)
}
CLASSES = {
    node.name: node for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
}
FOR_MAINTAINERS = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs/developers/architecture.md",
    ROOT / "docs/developers/recipes.md",
]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]

IDENTIFIER = re.compile(r"(?<!`)`([A-Za-z_]\w*(?:\.\w+)*)(?:\(\))?`(?!`)")
FILE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|ts|css|js|json|toml|yml|mjs|cjs|lock)|(?:[\w.-]+/)+)`")
COMMENT = re.compile(r"/\*[\s\S]*?\*/|(?:^|\s)//.*", re.MULTILINE)
# The subject of a sentence in a docstring: "`limit`: …", "`limit` is …".
SUBJECT = re.compile(
    r"(?:^|[.:;,]\s+)((?:`\w+`(?:,| and| or) )*`\w+`)"
    r"(?=:| (?:is|are|has|may|means|must|names|receives|returns|decides)\b)",
    re.MULTILINE,
)

# Exceptions: identifiers that no code of the module or page has.
PYTHON = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *dir(str), *sys.stdlib_module_names}
ROUTES = {path for table in (CORE, *(entry.load() for entry in found("routes"))) for path in table}
ENTRIES = [entry for group in {*OWN, *registered()} for entry in found(group)]
REGISTERED = {name for entry in ENTRIES for name in entry.name.split(".")} | ROUTES
EXAMPLES = {  # names of users' code and files
    *("Int64Array", "OAuth2Token", "Path", "__all__", "a", "access_key", "data", "data.frame", "date"),
    *("db_password", "frame", "frame.size", "inputs", "m.gguf", "nunpy", "partial", "passphrase", "path"),
    *("price_eur", "price_usd", "private_key", "scale", "scaled", "scaler", "self._valeu", "sha256"),
    *("sns.lineplot", "urllib2", "vlaues", "x", "x_test", "y_test"),
}
LIBRARIES = {  # Python's objects, IPython's names, SQL, HTTP, files and fields of llama.cpp, pandas, browsers
    *("ATTACH", "AbortError", "DELETE", "POST", "Series.dt", "__", "___", "__version__", "_1", "_dh", "_i1"),
    *(
        "_ih",
        "_oh",
        "c.Turbopilot",
        "co_positions",
        "cog",
        "completion_probabilities",
        "deletion",
        "filename",
    ),
    *("g", "general.file_type", "insertion", "obj", "post_execute", "pre_execute", "tokenizers"),
}
OTHER_PROGRAMS = {  # settings of graphics drivers, Ray, logrotate, JupyterHub and Text Generation Inference
    *(
        "CUDA_VISIBLE_DEVICES",
        "GGML_VK_VISIBLE_DEVICES",
        "RAY_SERVE_ENABLE_HA_PROXY",
        "bitsandbytes.hf_url",
        "c.JupyterHub.hub_ip",
        "consistent_hashing",
    ),
    *("copytruncate", "gptq.hf_url", "inference_api", "inference_api.hf_token"),
    *("inference_api.hf_url", "jhub", "oauth_client_allowed_scopes"),
}
EXCEPTIONS = REGISTERED | {*ELSEWHERE} | {"turbopilot"} | EXAMPLES | LIBRARIES | OTHER_PROGRAMS


def identifiers_in(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def own_identifiers(name: str) -> set[str]:
    """Return the identifiers of a module, also those in strings, without its docstrings and comments."""
    bare = ast.parse(CODE[name])
    for node in ast.walk(bare):
        if isinstance(getattr(node, "body", None), list) and isinstance(node.body[0], ast.Expr):
            node.body[0:1] = [] if isinstance(node.body[0].value, ast.Constant) else node.body[0:1]
    return identifiers_in(ast.unparse(bare))


def prose(name: str) -> Iterator[str]:
    """Yield the docstrings and comments of a module."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""
    tokens = tokenize.generate_tokens(io.StringIO(CODE[name]).readline)
    yield from (token.string for token in tokens if token.type == tokenize.COMMENT)


def is_known(name: str, own: set[str]) -> bool:
    """Return whether code has an identifier, or a class, module or library that it names has it."""
    first, _, rest = name.partition(".")
    if name in EXCEPTIONS or first in PYTHON or identifiers_in(name) <= own:
        return True
    if FILE.fullmatch(f"`{name}`"):
        return any(f"/{path}".endswith(f"/{name}") for path in CODE)
    if first in CLASSES:
        return identifiers_in(rest) <= identifiers_in(ast.unparse(CLASSES[first]))
    path = name.replace(".", "/")
    found = [text for module, text in CODE.items() if module.endswith((f"/{first}.py", f"/{path}.py"))]
    return bool(rest) and any(
        identifiers_in(rest) <= identifiers_in(text) | identifiers_in(path) for text in found
    )


def test_docstrings_and_comments_name_identifiers_of_their_module() -> None:
    unknown = {
        f"{module}: {name}"
        for module in MODULES
        for own in [own_identifiers(module)]
        for name in IDENTIFIER.findall("\n".join(prose(module)))
        if not is_known(name, own)
    }
    assert sorted(unknown) == []


def test_comments_of_scripts_and_styles_name_identifiers_of_their_file() -> None:
    unknown = set()
    for path, text in CODE.items():
        if re.match(r"labextension/.*(?<!/wire)\.(?:ts|mjs|css)$", path):
            own = identifiers_in(COMMENT.sub("", text))
            own |= {name.removeprefix("_") for name in own}  # a private parameter of a constructor
            names = IDENTIFIER.findall("\n".join(COMMENT.findall(text)))
            unknown |= {f"{path}: {name}" for name in names if not is_known(name, own)}
    assert sorted(unknown) == []


def test_docstrings_describe_parameters_that_exist() -> None:
    unknown = [
        f"{module}: {name} of {node.name}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for subjects in SUBJECT.findall(ast.get_docstring(node) or "")
        for name in identifiers_in(subjects) - {"and", "or"}
        if name not in {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    ]
    assert unknown == []


def test_pages_name_identifiers_that_exist() -> None:
    code = identifiers_in("\n".join([*CODE, *CODE.values()]))
    names = {(page.name, name) for page in PAGES for name in IDENTIFIER.findall(page.read_text("utf-8"))}
    unknown = [f"{page}: {name}" for page, name in names if not is_known(name, code)]
    assert sorted(unknown) == []


def test_maintainer_pages_name_files_and_identifiers_that_exist() -> None:
    wrong = []
    for page in FOR_MAINTAINERS:
        text = re.sub(r"```.*?```|<!-- walk.*?<!-- end", "", page.read_text("utf-8"), flags=re.DOTALL)
        for part in re.split(r"\n\n|\n(?=[|-]|\d\.)", text):
            names = [name for name in FILE.findall(part) if "NAME" not in name]
            paths = {name: [path for path in CODE if f"/{name}" in f"/{path}"] for name in names}
            wrong += [f"{page.name}: {name}" for name, found in paths.items() if not found]
            code = identifiers_in("\n".join(path + CODE[path] for found in paths.values() for path in found))
            identifiers = IDENTIFIER.findall(FILE.sub("", part)) if names else []
            wrong += [f"{page.name}: {name} in {names}" for name in identifiers if not is_known(name, code)]
    assert wrong == []
