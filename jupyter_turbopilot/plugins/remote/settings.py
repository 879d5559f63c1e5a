"""The section of settings of the engine `remote`."""

from __future__ import annotations

import os

from traitlets import Bool, Enum, Float, Int, Unicode, default

from jupyter_turbopilot.settings.config import ENGINE_URL, EngineSection

# These environment variables belong to the address in the environment.
ENGINE_AUTH, ENGINE_ALLOW_HTTP = "TURBOPILOT_ENGINE_AUTH", "TURBOPILOT_ENGINE_ALLOW_HTTP"


class TurbopilotRemote(EngineSection):
    """The engine `remote`: a remote server with OpenAI's completions API."""

    url = Unicode(
        help="Address of the server, such as http://127.0.0.1:8080/v1, or `hf:PROVIDER` for one of Hugging "
        f"Face's inference providers. Not set: the environment variable `{ENGINE_URL}`.",
    ).tag(config=True)
    model = Unicode("", help="The model's name on the server. Empty: the server's only model.").tag(
        config=True
    )
    vocabulary = Unicode(
        "auto",
        help="The model's vocabulary: a name from the catalogue, a GGUF file or a folder with a tokenizer. "
        "If it is available, prompts are sent as token ids. auto: use the catalogue's vocabulary if the "
        "server reports a catalogue model; none: send prompts as text.",
    ).tag(config=True)
    fim = Unicode(
        "auto",
        help="How a fill-in-the-middle prompt is sent as text: suffix (OpenAI's field), infill (llama.cpp's "
        "route), none, or auto to detect what the server supports.",
    ).tag(config=True)
    key_file = Unicode(
        "",
        help="A file with the server's API key that only you can read. Empty: the environment "
        "variable `TURBOPILOT_ENGINE_KEY`, or `HF_TOKEN` for Hugging Face's providers.",
    ).tag(config=True)
    auth = Enum(
        ("", "jupyterhub"),
        default_value="",
        help="How to authenticate to the server. Empty: with the API key. jupyterhub: with the token that "
        "JupyterHub gave your server, for a service of that hub; see the JupyterHub page of the "
        f"documentation. Not set: the environment variable `{ENGINE_AUTH}`, if the address comes from the "
        "environment, too.",
    ).tag(config=True)
    timeout = Float(
        10.0,
        min=0.1,
        max=600.0,
        help="Seconds to wait for the server's first token before it counts as unreachable.",
    ).tag(config=True)
    slots = Int(
        0,
        min=0,
        max=4096,
        help="Concurrent requests to the server. 0: the number that the server reports, or 4. With a router "
        "in front of several servers, set their sum.",
    ).tag(config=True)
    allow_http = Bool(
        False,
        help="Allow http:// to another machine: anyone on the network path can read the traffic. Not set: "
        f"allowed if the environment variable `{ENGINE_ALLOW_HTTP}` is 1 and the address comes from the "
        "environment, too.",
    ).tag(config=True)
    send_documents = Bool(
        False, help="Also send the server code of other open documents, not only of the notebook itself."
    ).tag(config=True)
    send_kernel_context = Bool(
        False, help="Send the server the columns and attributes in the kernel. Values are never sent."
    ).tag(config=True)

    @property
    def identity(self) -> tuple[object, ...]:
        sent = (self.send_documents, self.send_kernel_context)
        url = self.url.partition("?")[0].rpartition("@")[2]  # without secrets
        return (sent, url, self.model, self.vocabulary, self.fim)

    def take_secrets(self) -> None:
        """Remove the server's key from the environment."""
        from jupyter_turbopilot.plugins.remote.address import PROVIDER, take_from_environment

        take_from_environment(provider=self.url.startswith(PROVIDER))

    @default("url")
    def _default_url(self) -> str:
        return os.environ.get(ENGINE_URL, "")

    @default("auth")
    def _default_auth(self) -> str:
        return self._environment_for_url(ENGINE_AUTH)

    @default("allow_http")
    def _default_plain_http(self) -> bool:
        return self._environment_for_url(ENGINE_ALLOW_HTTP) == "1"

    def _environment_for_url(self, name: str) -> str:
        """Return an environment variable, but only for the environment's own address."""
        return os.environ.get(name, "") if self.url == self._default_url() else ""
