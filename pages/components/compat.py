"""What no public part of Streamlit offers: why a page is left, and how large an upload may be.

tests/ui/test_streamlit_internals.py watches it.
"""

from streamlit import config
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.exceptions import ScriptControlException as LeavingPage
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType

__all__ = [
    "VERSION",
    "LeavingPage",
    "clicked_in_fragment",
    "limit_uploads",
    "something_newer_waits",
    "waits_for_fragment",
]

VERSION = "1.67.0"
"""The version of Streamlit in which this was last looked at.

`LeavingPage` is raised out of any call that draws when the visitor pressed a button or closed the tab.
"""


def clicked_in_fragment() -> bool:
    """Whether the visitor did something in a fragment of the page, which Streamlit lets wait until the work has ended.

    A fragment that draws itself anew every second is no visitor.
    """
    context = get_script_run_ctx()
    return context is not None and context.script_requests is not None and waits_for_fragment(context.script_requests)


def something_newer_waits() -> bool:
    """Whether the visitor left, or did anything since, so that what this run would draw is not wanted any more."""
    context = get_script_run_ctx()
    requests = context.script_requests if context is not None else None
    if requests is None or requests._state == ScriptRequestType.CONTINUE:
        return False
    return requests._state == ScriptRequestType.STOP or not requests._rerun_data.is_auto_rerun


def limit_uploads(megabytes: int) -> None:
    """From now on the server takes no larger file, whatever its own setting and a page's widget say."""
    if config.get_option("server.maxUploadSize") > megabytes:
        config.set_option("server.maxUploadSize", megabytes)


def waits_for_fragment(requests: ScriptRequests) -> bool:
    """Whether a visitor's request for a fragment is among those that wait."""
    if requests._state != ScriptRequestType.RERUN:
        return False
    waiting = requests._rerun_data
    return bool(waiting.fragment_id_queue) and not waiting.is_auto_rerun
