"""The pictures of the documentation show the texts of today's interface."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FRONT = ROOT / "labextension"
PICTURES = ROOT / "docs" / "pictures"


def test_pictures_show_current_texts() -> None:
    shown: dict[str, list[str]] = json.loads((PICTURES / "texts.json").read_text("utf-8"))
    pictures = [*PICTURES.glob("*.png"), *(ROOT / "docs").glob("*.png")]
    assert sorted(shown) == sorted(picture.stem for picture in pictures)
    files = [*FRONT.glob("src/**/*.ts*"), FRONT / "schema" / "plugin.json"]
    source = "".join(path.read_text("utf-8") for path in files).replace('"', "'")
    outdated = {name: text for name, texts in shown.items() for text in texts if f"'{text}'" not in source}
    assert not outdated, "Take these pictures again: UPDATE_PICTURES=1 make test-ui"
