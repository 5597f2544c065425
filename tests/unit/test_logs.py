"""No secret reaches a log file, however it got into the record."""

import logging
from pathlib import Path

import pytest

from unlearning_core.logs import log_to_file, redact, stop_logging

TOKEN = "hf_" + "AbCdEfGhIjKlMnOp"


@pytest.mark.parametrize(
    "text",
    [
        f"loading with {TOKEN}",
        f"{{'token': '{TOKEN}'}}",
        "Authorization: Bearer abc.def-123",
        'api_key = "s3cr3t-value"',
    ],
)
def test_secrets_are_struck_out(text: str) -> None:
    clean = redact(text)
    assert "[secret]" in clean
    for secret in (TOKEN, "abc.def-123", "s3cr3t-value"):
        assert secret not in clean


@pytest.mark.parametrize("text", ["120 tokens/s", "max_new_tokens=40", "token: None", "tokens_input_path: data/t.txt"])
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_arguments_and_tracebacks_in_a_log_file_are_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "an-unusual-secret")
    handler = log_to_file(tmp_path / "app.log")
    try:
        try:
            raise ValueError(f"refused {TOKEN}")
        except ValueError:
            logging.getLogger("test").exception("header %s", {"authorization": "Bearer an-unusual-secret"})
    finally:
        stop_logging(handler)
    written = (tmp_path / "app.log").read_text()
    assert "refused" in written
    assert TOKEN not in written
    assert "an-unusual-secret" not in written
