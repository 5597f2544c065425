"""The states of a model: the base, and what each method made of it."""


def state_title(state: str) -> str:
    """What a state is called on screen, such as "Never knew" for `never_knew`."""
    return state.replace("_", " ").capitalize()
