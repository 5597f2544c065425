"""What can go wrong, by who can mend it. Each message is a whole sentence that says what to do next."""

import re

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that a terminal or a page acts on instead of showing them: they come from files that other people made."""


class WorkbenchError(Exception):
    """Base of every error that a person is meant to read; `str(error)` is the line shown to them."""

    exit_code = 1

    def __str__(self) -> str:
        return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it in a notebook: the sentence, not the way through our code."""
        return [f"{type(self).__name__}: {self}"]


class InputError(WorkbenchError):
    """A person's mistake: names the field or file, the value seen, what was expected and the next step."""

    exit_code = 2


class WorkFailed(WorkbenchError):
    """Something broke that the person did not cause: a full disk, a dead worker, a model that returns NaN."""


class Stopped(WorkbenchError):
    """A person asked for the work to stop (Ctrl-C, a Stop button); what was finished is kept and can go on."""
