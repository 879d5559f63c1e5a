"""The site is complete: links are valid, and pages load nothing from the network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import build_site
import pytest

from .pages import PAGES, ROOT


class Page(HTMLParser):
    """Collects the links, loaded files and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.pictures_without_words = 0
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        self.ids |= {value for value in (has.get("id"), has.get("name")) if value}
        if tag == "a" and has.get("href"):
            self.links.append(has["href"] or "")
        for name in ("src", "srcset"):
            if has.get(name):
                self.loads.append(has[name] or "")
        if tag == "link" and has.get("rel") in {"stylesheet", "preload", "icon", "modulepreload"}:
            self.loads.append(has.get("href") or "")
        if tag == "img" and not has.get("alt"):
            self.pictures_without_words += 1


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_links_lead_to_existing_pages_and_headings(site: Path, pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
            ):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert not lost


def test_external_links_are_valid_urls(pages: dict[Path, Page]) -> None:
    addresses = {link for page in pages.values() for link in page.links if urlsplit(link).scheme}
    assert addresses
    assert {urlsplit(address).scheme for address in addresses} <= {"http", "https", "mailto"}
    assert not [address for address in addresses if re.search(r"\s|\.$|example\.com", address)]


def test_pages_load_nothing_from_other_hosts(site: Path, pages: dict[Path, Page]) -> None:
    loaded = {load for page in pages.values() for load in page.loads}
    assert not [load for load in loaded if urlsplit(load).scheme not in {"", "data"} or load.startswith("//")]
    styles = [sheet.read_text("utf-8") for sheet in (site / "_static").rglob("*.css")]
    assert not [
        found
        for sheet in styles
        for found in re.findall(r"url\([\"']?https?:[^)]*|@import[^;]*https?:[^;]*", sheet)
    ]


def test_loaded_files_exist(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for load in page.loads:
            if not load.startswith("data:"):
                assert (path.parent / unquote(urlsplit(load).path)).is_file(), f"{path.name}: {load}"


def test_images_have_alt_text_and_respect_reduced_motion(site: Path, pages: dict[Path, Page]) -> None:
    assert not sum(page.pictures_without_words for page in pages.values())
    home = (site / "index.html").read_text("utf-8")
    assert 'media="(prefers-reduced-motion: reduce)"' in home
    moving = (site / "ghost-text-moving.png").read_bytes()
    assert b"acTL" in moving[:2000]  # the header of an animated PNG
    assert len(moving) <= 1_000_000


def test_pages_contain_no_source_only_comments(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = re.sub(r"<(code|pre)\b.*?</\1>", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert "[[[cog" not in text
        assert "not run:" not in text


def test_html_comments_in_code_are_shown(site: Path) -> None:
    page = build_site.Site(build_site.documents(), site)
    source = "<!-- one, of `two` -->\nPut `<!-- three -->` above\n\n```html\n<!-- four -->\n```\n<!-- five\n-->\nit.\n"
    shown = "Put `<!-- three -->` above\n\n```html\n<!-- four -->\n```\nit.\n"
    assert build_site.placed(source, ROOT / "docs" / "install.md", page) == shown
    assert "&lt;!--" in (site / "recipes.html").read_text("utf-8")


def test_links_between_documents_work_on_the_forge() -> None:
    """Return GitHub's anchor of a heading."""
    anchors: dict[Path, set[str]] = {}
    for page in PAGES:
        headings = [
            re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip())
            for line, is_prose in build_site.pieces(page.read_text("utf-8"))
            if is_prose and re.match(r"#{1,6} ", line)
        ]
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        counted: dict[str, int] = {}
        anchors[page] = set()
        for slug in slugs:
            number = counted.get(slug, 0)
            counted[slug] = number + 1
            anchors[page].add(f"{slug}-{number}" if number else slug)
    lost = []
    for page in PAGES:
        for link in build_site.links(page.read_text("utf-8")):
            if urlsplit(link).scheme:
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and target in anchors and anchor not in anchors[target]):
                lost.append(f"{page.relative_to(ROOT)}: {link}")
    assert not lost


def test_broken_link_fails_the_build(tmp_path: Path) -> None:
    site = build_site.Site(build_site.documents(), tmp_path)
    page = ROOT / "docs" / "install.md"
    for broken in ("nothing.md", "../../outside.md", "http://", "ftp://example.org/x"):
        with pytest.raises(build_site.LinkError):
            site.place(broken, page)
    assert site.place("models.md#which-model", page) == "models.md#which-model"
    assert site.place("../research/benchmarks/RESULTS.md", page) == "results/index.md"
    assert site.place("../.ci/run", page) == "files/.ci/run"
    assert (tmp_path / "files" / ".ci" / "run").is_file()


def test_links_ignores_links_in_code() -> None:
    assert build_site.links("`[a](b.md)` [c](d.md)\n```text\n[e](f.md)\n```\n[`g`](h.md)\n") == [
        "d.md",
        "h.md",
    ]


def test_build_rejects_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "thesis.tex").write_text("mine")
    with pytest.raises(build_site.FolderError, match="Choose a new or empty folder"):
        build_site.build(tmp_path)
    assert (tmp_path / "source" / "thesis.tex").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_build_accepts_a_new_empty_or_site_folder(tmp_path: Path) -> None:
    for folder in (tmp_path / "a" / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        build_site.claim(folder)
        (folder / "source").mkdir()
        build_site.claim(folder)
