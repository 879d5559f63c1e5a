"""Routes for clients of other protocols."""

_HERE = "jupyter_turbopilot.plugins.protocols."
ROUTES = {
    "infill": f"{_HERE}llamacpp:InfillRoute",
    "completion": f"{_HERE}llamacpp:CompletionRoute",
    "completions": f"{_HERE}llamacpp:CompletionRoute",
    "tokenize": f"{_HERE}tokenization:TokenizeRoute",
    "detokenize": f"{_HERE}tokenization:DetokenizeRoute",
    "props": f"{_HERE}llamacpp:PropsRoute",
    "slots": f"{_HERE}llamacpp:SlotsRoute",
    "v1/completions": f"{_HERE}openai:CompletionsRoute",
    "v1/engines/([^/]+)/completions": f"{_HERE}openai:CompletionsRoute",
    "v1/models": f"{_HERE}openai:OpenAIModelsRoute",
    "v1/models/(.+)": f"{_HERE}openai:OpenAIModelsRoute",
    "copilot_internal/v2/token": f"{_HERE}openai:CopilotTokenRoute",
    "api/generate": f"{_HERE}huggingface:GenerateRoute",
}
