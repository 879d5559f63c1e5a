import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.ggml import Q8_0, TYPES
from jupyter_turbopilot.models.model import HubFile, IndexParts, Model
from jupyter_turbopilot.models.tuning.adapters import ours
from jupyter_turbopilot.models.tuning.recipe import LAYERS
from jupyter_turbopilot.protocol.errors import UnknownModelError

DIGEST = "a" * 64
VOCABULARY, METADATA = 151_936, 6_000_000  # tokens; bytes before the weights
# Layers, the width, that of the feed-forward part and that of the keys, types of the embedding and the output.
SHAPES = {
    "qwen2.5-coder-0.5b": (24, 896, 4864, 128, 6, 8),
    "qwen2.5-coder-1.5b": (28, 1536, 8960, 256, 12, 14),
}


@pytest.mark.parametrize("model", catalog().values(), ids=lambda m: m.name)
def test_entries_have_a_source_a_size_and_a_licence(model: Model) -> None:
    assert bool(model.sources) != bool(model.checkpoint)
    assert model.bytes > 50_000_000
    assert model.licence != "unknown"
    assert model.architecture
    assert model.use


def test_entries_have_both_digest_and_size_or_neither() -> None:
    counted = [model for model in catalog().values() if model.sha256 or model.size]
    assert len(counted) == 3
    assert all(len(model.sha256 or "") == 64 and (model.size or 0) > 1_000_000 for model in counted)


def test_entries_have_the_size_of_a_copy_if_an_adapter_is_bundled() -> None:
    assert [name for name, model in catalog().items() if model.copy_size] == [*SHAPES]
    assert [name for name in catalog() if ours(name)] == [*SHAPES]


@pytest.mark.parametrize("name", SHAPES)
def test_copy_size_follows_from_shapes_and_types(name: str) -> None:
    layers, width, feed, keys, embedding, output = SHAPES[name]
    layer = TYPES[LAYERS].size(2 * width * width + 3 * width * feed) + TYPES[Q8_0].size(2 * width * keys)
    rows = sum(TYPES[kind].size(VOCABULARY * width) for kind in (embedding, output))
    assert catalog()[name].served_bytes == pytest.approx(layers * layer + rows + METADATA, rel=0.005)


def test_sources_list_the_publisher_before_a_mirror() -> None:
    assert [type(source) for source in catalog()["qwen2.5-coder-0.5b"].sources] == [HubFile, IndexParts]


@pytest.mark.parametrize("spec", ["owner/repo/file.gguf", "owner/repo/sub/file.gguf", "owner/repo:file.gguf"])
def test_find_accepts_a_hugging_face_file(spec: str) -> None:
    (source,) = find(spec).sources
    assert isinstance(source, HubFile)
    assert source.repo == "owner/repo"
    assert source.file.endswith("file.gguf")


def test_find_gives_each_url_and_digest_its_own_file() -> None:
    specs = [
        "https://example.org/m/x.gguf",
        f"https://example.org/m/x.gguf#sha256={DIGEST}",
        f"https://example.org/m/x.gguf#sha256={'b' * 64}",
        "https://example.org/other/x.gguf",
        "https://example.com/m/x.gguf",
        "https://example.org/m/x.gguf?revision=2",
        "https://example.org/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "owner/repo/x.gguf",
        "owner/repo/q4/x.gguf",
        "owner/repo/q8/x.gguf",
        "owner/repo/Q8/x.gguf",
        "owner/re-po/x.gguf",
    ]
    models = [find(spec) for spec in specs] + list(catalog().values())
    assert len({model.name for model in models}) == len(models)
    assert len({model.file.lower() for model in models}) == len(models)
    assert all(len(model.file) < 200 for model in models)
    assert all(find(model.spec) == model for model in models)


def test_find_returns_the_entry_for_its_hugging_face_file() -> None:
    default = catalog()["qwen2.5-coder-0.5b"]
    assert find("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf") is default


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "  ",
        "nonsense",
        "owner/repo/../../x.gguf",
        "owner/repo/%2e%2e",
        "owner/repo/x.bin",
        "own\0er/repo/x.gguf",
        "owner/repo/x.gguf\nINFO forged",
        "http://example.org/x.gguf",
        "ftp://example.org/x.gguf",
        "file:///etc/passwd.gguf",
        "https://example.org/",
        "https://example.org/x.gguf#sha256=short",
        "https://example.org/..gguf",
        "owner\\repo\\x.gguf",
        "owner--repo/x/y.gguf",
        "owner/re--po/y.gguf",
        "https:///x.gguf",
        "https://example.org:99999/x.gguf",
    ],
)
def test_find_refuses_other_texts(spec: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        find(spec)
    assert caught.value.message


@given(st.text(max_size=60))
def test_find_never_leaves_the_models_folder(spec: str) -> None:
    try:
        model = find(spec)
    except UnknownModelError:
        return
    if model.path is None:
        assert "/" not in model.file
        assert "\\" not in model.file
        assert not model.file.startswith(".")


@pytest.mark.parametrize(
    "spec", ["0" * 2048, "/" + "a" * 300, "./" + "b" * 300, "~no-such-user/x.gguf", "https://[x/y.gguf"]
)
def test_find_refuses_names_that_no_file_system_accepts(spec: str) -> None:
    with pytest.raises(UnknownModelError):
        find(spec)
