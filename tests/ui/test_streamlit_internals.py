"""The inside of Streamlit that pages/components/compat.py reads: fails when it, or the version, is another."""

import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime.scriptrunner_utils.exceptions import RerunException, StopException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests

from pages.components.compat import (
    VERSION,
    LeavingPage,
    clicked_in_fragment,
    limit_uploads,
    something_newer_waits,
    waits_for_fragment,
)


def test_it_was_looked_at_in_the_version_that_is_installed() -> None:
    assert st.__version__ == VERSION, (
        "Streamlit has changed. Look at ScriptRequests._state and _rerun_data and at what st.rerun raises, run the "
        "browser tests, then write the new version into pages/components/compat.py."
    )


def test_leaving_a_page_is_no_error_that_a_page_would_show() -> None:
    assert issubclass(RerunException, LeavingPage)
    assert issubclass(StopException, LeavingPage)
    assert not issubclass(LeavingPage, Exception)


@pytest.mark.parametrize(
    ("wanted", "waits"),
    [
        (None, False),
        (RerunData(), False),
        (RerunData(fragment_id="one"), True),
        (RerunData(fragment_id="one", is_auto_rerun=True), False),
    ],
)
def test_only_a_visitors_click_in_a_fragment_counts(wanted: RerunData | None, waits: bool) -> None:
    requests = ScriptRequests()
    if wanted is not None:
        requests.request_rerun(wanted)
    assert waits_for_fragment(requests) is waits


def test_outside_of_a_page_nobody_clicks() -> None:
    assert not clicked_in_fragment()
    assert not something_newer_waits()


def test_an_upload_limit_only_ever_goes_down() -> None:
    before = config.get_option("server.maxUploadSize")
    try:
        limit_uploads(before + 1)
        assert config.get_option("server.maxUploadSize") == before
        limit_uploads(before - 1)
        assert config.get_option("server.maxUploadSize") == before - 1
    finally:
        config.set_option("server.maxUploadSize", before)
