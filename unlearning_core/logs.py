"""Logging to `logs/app.log` and to a run's `log.txt`, with secrets struck out on every way to a file or screen."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# The shapes of Hugging Face tokens; then also of keys in `name=value` form and of bearer headers.
_TOKENS = re.compile(r"\bhf_[A-Za-z0-9]{8,}|\bapi_org_[A-Za-z0-9]{8,}")
_SECRETS = re.compile(
    rf"{_TOKENS.pattern}"
    r"|(?i:\bbearer\s+)[^\s\"',}]+"
    r"|(?i:\b(?:token|secret|password|api_?key|authorization)\b[\"']?\s*[=:]\s*[\"']?)(?!(?i:bearer)\b)(?!None\b|null\b)[^\s\"',}]{6,}"
)


def redact(text: str) -> str:
    """`text` with anything that looks like a token or secret replaced, including this process's own Hub token."""
    return _strike(text, _SECRETS)


def _strike(text: str, shapes: re.Pattern[str]) -> str:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        value = os.environ.get(name)
        if value:
            text = text.replace(value, "[secret]")
    return shapes.sub("[secret]", text)


def holds_secret(value: Any) -> bool:
    """Whether a text in `value`, a setting with lists and dictionaries to any depth, looks like a token or secret.

    Of a text in a list (a prompt, a sentence, a word) only a token's own shape counts: "Password: swordfish" may be
    what is to be forgotten.
    """
    if isinstance(value, str):
        return redact(value) != value
    if isinstance(value, Mapping):
        # Together too: a key that is called token makes a secret of what stands under it.
        pairs = (f"{key}: {inner}" for key, inner in value.items() if isinstance(inner, str))
        return any(map(holds_secret, (*value, *value.values(), *pairs)))
    if not isinstance(value, Iterable) or isinstance(value, bytes):
        return False
    return any(_strike(one, _TOKENS) != one if isinstance(one, str) else holds_secret(one) for one in value)


class RedactingFormatter(logging.Formatter):
    """Strikes secrets from the finished line, so that arguments and tracebacks are covered too."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def log_to_file(path: Path, *, rotate: bool = False) -> logging.Handler:
    """Send every record of INFO and above to `path`; returns the handler (remove it with `stop_logging`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler: logging.Handler
    if rotate:
        handler = RotatingFileHandler(path, maxBytes=5_000_000, backupCount=3, encoding="utf-8")
    else:
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(RedactingFormatter(FORMAT))
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    root.setLevel(min(root.level or logging.INFO, logging.INFO))
    root.addHandler(handler)
    return handler


def stop_logging(handler: logging.Handler) -> None:
    """Close what `log_to_file` opened."""
    logging.getLogger().removeHandler(handler)
    handler.close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log to `path` inside the `with`."""
    handler = log_to_file(path)
    try:
        yield
    finally:
        stop_logging(handler)


def start_app_log(folder: Path = Path("logs")) -> None:
    """Log to `logs/app.log`, once a process however often it is called, with chatty libraries kept at warnings."""
    for name in (
        "httpx",
        "httpcore",
        "urllib3",
        "fsspec",
        "filelock",
        "datasets",
        "transformers",
        "watchdog",
        "lm_eval",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    target = (folder / "app.log").resolve()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RotatingFileHandler) and Path(handler.baseFilename) == target:
            return
    log_to_file(target, rotate=True)


def quiet_libraries() -> None:
    """Leave the progress bar to us: the libraries' own bars and advice are switched off, before they are imported."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
