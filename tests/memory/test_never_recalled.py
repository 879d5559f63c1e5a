"""What is never recalled, whatever an index holds and in whatever order it came to hold it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.context.private import is_private_path, looks_secret
from jupyter_turbopilot.memory.entries import page_of
from jupyter_turbopilot.memory.reader import Reader
from jupyter_turbopilot.memory.store import Store, prepare

from .notebooks import notebook

PATHS = ["a.ipynb", "work/b.ipynb", ".env", "secrets.ipynb", ".aws/c.ipynb", "id_rsa.ipynb", "credentials.py"]
SECRETS = [
    "token_value = 'hunter2hunter2'",
    "token_value = (\n    'hunter2hunter2'\n)",
    "token_value = connect('postgres://me:hunter2hunter2@host/x')",
    "token_value = '''-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n'''",
]
CELLS = st.lists(
    st.sampled_from([*SECRETS, "token_names = load(one)", "token_names = load(two)"]), max_size=4
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["save", "forget", "delete"]), st.sampled_from(PATHS), CELLS), max_size=8
)


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_neither_private_files_nor_secrets_nor_what_was_deleted(
    events: list[tuple[str, str, list[str]]],
) -> None:
    held: dict[str, list[str]] = {}
    gone = set[str]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "index.db")
        prepare(place)
        with closing(Store(place)) as store, closing(Reader(place, lambda paths: {*paths} - gone)) as reader:
            for what, path, cells in events:
                held.pop(path, None)
                if what == "save":
                    gone.discard(path)
                    held[path] = cells
                    store.put(path, "1", 1.0, page_of(path, notebook("opening = 1", *cells)))
                elif what == "forget":
                    store.forget([path])
                else:  # by another program: the index does not know yet
                    gone.add(path)
            told = [
                f"token_{one.rest}"
                for one in reader.continuations("python", "token_", "", path="", modules=())
            ]
            following = reader.following(
                "python",
                [{"opening", "token_names", "token_value", "load", "hunter2hunter2"}],
                leaving=(),
            )
    kept = {"\n".join(cells) for path, cells in held.items() if not is_private_path(path)}
    assert all(any(line in cells for cells in kept) for line in told)
    assert {one.path for one in following} <= {path for path in held if not is_private_path(path)}
    for text in (*told, *(one.source for one in following)):
        assert not any(map(looks_secret, text.splitlines()))
        assert "hunter2" not in text
