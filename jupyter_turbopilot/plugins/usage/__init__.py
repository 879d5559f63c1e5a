"""An opt-in log of suggestions and their outcomes for user studies, in a file of the user's own."""


def describe_content(*, text: bool) -> str:
    """Describe what is logged."""
    return "numbers and the text of suggestions" if text else "numbers, no text"
