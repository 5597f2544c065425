"""The states that a model goes through, and what they are called."""

_TITLES = {"base": "Base", "pruned": "Pruned", "retrained": "Retrained"}


def state_title(state: str) -> str:
    """What a person calls a state of the model."""
    return _TITLES.get(state, state.replace("_", " ").capitalize())
