"""Who is this, and what may they? On one's own machine: everything. On a public server: what its rules say.

Every page asks here, and no page asks whether the server is public: where the runs are, what a person may name, how
much may be uploaded, kept and started. docs/public.md says what this guards and what it does not.
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from pages.components.compat import limit_uploads
from unlearning_core.config.reading import build_config, find_path, load_config, read_config_values
from unlearning_core.config.schema import BaseModelSection, ExperimentConfig
from unlearning_core.errors import InputError, Stopped
from unlearning_core.jobs.limits import Limits
from unlearning_core.jobs.liveness import is_working_in
from unlearning_core.models.sources.prepared import root as prepared_models
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.store import is_safe
from unlearning_core.visitors import keeping
from unlearning_core.visitors.admission import admitted, admitted_place
from unlearning_core.visitors.rules import rules

COOKIE = "unlearning_visitor"
_KEY = "visitor"
_TOKEN = re.compile(r"[\w-]{43}")
_HOUR = 3600.0
_PATH = re.compile(r"(?<![\w./])/(?:[^\s/'\"`:,;()]+/)+([^\s/'\"`:,;()]*)")
"""An absolute path in a sentence, and its last part."""

_OWN = re.compile(r"\b[0-9a-f]{32}\b")
"""The name of a visitor's folder."""

_STAY = """<script>document.cookie = "{name}={value}; path=/; max-age={seconds}" +
(location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Strict");</script>"""
"""Over https the cookie is also kept in a frame of another page, apart for each such page."""


# Who it is


def is_let_in() -> bool:
    """Whether the page may be drawn; where a login is set up and the visitor has none, the way to it is drawn.

    Raises:
        InputError: the server's rules cannot be read; nothing may be drawn then.
    """
    known = rules()
    if st.user.get("is_logged_in") is False:
        _ask_for_login()
        return False
    if known is not None:
        limit_uploads(known.upload_mb)
        if _KEY not in st.session_state:
            st.session_state[_KEY] = _token()
            _tidy(str(_base()), int(time.time() // _HOUR))
            keeping.note_visit(root())
        if st.user.get("is_logged_in") is None:
            st.html(
                _STAY.format(name=COOKIE, value=st.session_state[_KEY], seconds=int(known.days * 86_400)),
                unsafe_allow_javascript=True,
            )
    return True


def _ask_for_login() -> None:
    st.title("Unlearning Workbench")
    st.markdown("Log in to go on. What you make here is seen by you alone.")
    section = st.secrets["auth"]
    named = [name for name, value in section.items() if hasattr(value, "items")]
    for name in named or [None]:
        title = "Log in" if name is None else f"Log in with {name.capitalize()}"
        if st.button(title, type="primary", icon=":material/login:", key=f"log in {name}"):
            st.login(name) if name else st.login()


def _token() -> str:
    """What an anonymous visitor is known by: 256 random bits, which the browser keeps and nobody else is told."""
    kept = st.context.cookies.get(COOKIE, "")
    return kept if isinstance(kept, str) and _TOKEN.fullmatch(kept) else secrets.token_urlsafe(32)


def _secret() -> str:
    """What tells this visitor from all others."""
    if st.user.get("is_logged_in"):
        person = [st.user.get(name) or "" for name in ("iss", "sub")]
        if not all(person):
            raise InputError(
                "The login says neither who you are nor from where (iss and sub). Log in with another one."
            )
        return f"person {' '.join(map(str, person))}"
    return f"anonymous {st.session_state[_KEY]}"


@st.cache_resource(show_spinner=False, max_entries=2)
def _tidy(runs: str, hour: int) -> None:
    """Once an hour at most, when somebody comes: what nobody came back for goes."""
    if (known := rules()) is not None:
        keeping.delete_forgotten(Path(runs), known)


# What is theirs


def root() -> Path:
    """Where this visitor's runs are: on one's own machine all of them, on a public server a folder of their own."""
    return _base() if rules() is None else keeping.folder_of(_base(), _secret())


def _base() -> Path:
    return Path(os.environ.get("UNLEARNING_RUNS") or "runs")


def uploads_folder() -> Path:
    """Where a model that is uploaded as a zip is unpacked."""
    return prepared_models() / "uploads" if rules() is None else root() / keeping.UPLOADS


def scratch_folder() -> Path | None:
    """Where a file may lie that settings name for a moment; None: where the system has its own."""
    if rules() is None:
        return None
    check_room()
    folder = uploads_folder().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def in_sidebar() -> None:
    """On a public server: whose runs these are, how long they stay, and the way to be rid of them."""
    known = rules()
    if known is None:
        return
    st.divider()
    if st.user.get("is_logged_in"):
        name = st.user.get("name") or st.user.get("email") or "you"
        st.caption(
            f"Logged in as {str(name)[:60]}. Only you see your runs; they are deleted {known.days:g} days after "
            "your last visit."
        )
        st.button("Log out", on_click=st.logout, icon=":material/logout:")
    else:
        st.caption(
            f"A public server: only this browser sees your runs, and they are deleted {known.days:g} days after your "
            "last visit. Upload nothing that is secret."
        )
    if root().is_dir():
        with st.popover("Delete all that is mine", icon=":material/delete:"):
            st.markdown("Delete all your runs, models and uploads on this server for good?")
            st.button(":red[**Yes, delete everything**]", key="delete all", on_click=_ask_to_delete_all)


def _ask_to_delete_all() -> None:
    st.session_state["delete all of mine"] = True


def asked_to_delete_all() -> bool:
    """Whether the visitor has just confirmed that everything goes; it is gone then.

    Raises:
        InputError: one of the runs is being worked on.
    """
    if not st.session_state.pop("delete all of mine", False):
        return False
    keeping.delete_all(root())
    return True


# What they may name


def may_name_places() -> bool:
    """Whether a file or folder of this machine may be named by its path."""
    return rules() is None


def hub_names(kind: str) -> tuple[str, ...]:
    """The "models" or "datasets" of the Hub that may be named where not all may."""
    known = rules()
    return () if known is None else known.hub_models if kind == "models" else known.hub_datasets


def place(text: str, field: str) -> str:
    """The absolute path of a text source or file that a person named, or its name on the Hub.

    Raises:
        InputError: a visitor may not name it.
    """
    known = rules()
    if known is None:
        return find_path(text, Path.cwd())
    return admitted_place(text, root(), known.hub_datasets, field)


def model(section: BaseModelSection) -> BaseModelSection:
    """The model that a person named, as settings may hold it.

    Raises:
        InputError: a visitor may not name it, or may not have it loaded so.
    """
    return settings(ExperimentConfig(base_model=section)).base_model


def settings(config: ExperimentConfig) -> ExperimentConfig:
    """Settings that are to be kept in a run.

    Raises:
        InputError: they name or ask for something that a visitor may not.
    """
    known = rules()
    return config if known is None else admitted(config, root(), known)


def settings_file(path: Path) -> ExperimentConfig:
    """The settings in an uploaded config.json.

    Raises:
        InputError: they cannot be read, or a visitor may not have them.
    """
    # Looking for the paths in it would tell which are there.
    return load_config(path) if rules() is None else settings(build_config(read_config_values(path), origin=str(path)))


def sentence(text: str) -> str:
    """A sentence of the library as this visitor may read it: without the server's folders."""
    try:
        if rules() is None:
            return text
    except InputError:  # where nobody can tell whose the server is, it is not the reader's
        pass
    return _OWN.sub("your runs", _PATH.sub(r"\1", text))


def upload_name(upload: Any) -> str:
    """What an uploaded file is called here; its browser may have said anything."""
    name = str(upload.name).replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "")
    stem, dot, suffix = name.rpartition(".")
    name = f"{stem[:100]}{dot}{suffix[:20]}" if dot else suffix[:100]
    return name if is_safe(name) and name.strip(". ") else "upload"


# How much they may


def upload_mb(most: int) -> int:
    """MB of one uploaded file, where the page would take `most`."""
    known = rules()
    return most if known is None else min(most, known.upload_mb)


def check_room() -> None:
    """Raises InputError where the visitor has used up the room there is."""
    if (known := rules()) is not None:
        keeping.check_room(root(), known)


def job_limits() -> Limits:
    """What a background job that this visitor starts now may take.

    Raises:
        InputError: the visitor has as many jobs as may be, or no room.
    """
    known = rules()
    if known is None:
        return Limits()
    # Whatever is started for a run has its folder there.
    busy = [run.id for run in list_runs(root()) for job in run.job_folder("").glob("*/") if is_working_in(job)]
    if len(busy) >= known.jobs_each:
        raise InputError(
            f"You have {len(busy)} running or waiting already (run {busy[0]}), and each visitor may have "
            f"{known.jobs_each} on this server. Wait for it, or stop it on its page."
        )
    check_room()
    return Limits("jobs", known.jobs_at_once, 60 * known.job_minutes, str(root().resolve()), int(known.disk_mb * 1e6))


def starts_unasked() -> bool:
    """Whether a page may start a process without being asked to: beside strangers' pages it may not."""
    return rules() is None


def curve_limits() -> Limits:
    """The same for the curves of the page Prune, which are computed one by one on everybody's machine."""
    from unlearning_core.runs.sweep import ONE_BY_ONE

    return ONE_BY_ONE if rules() is None else job_limits()


@st.cache_resource(show_spinner=False)
def _slots(most: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(most)


@contextmanager
def page_work(bar: ProgressCallback) -> Iterator[ProgressCallback]:
    """Inside the `with` a page may work for its visitor; gives the callback that the work is to tell.

    On a public server a few pieces of such work go on at once and the others wait, each for a time that ends.

    Raises:
        InputError: the visitor has no room left.
        Stopped: the time is over, or the visitor left while it waited.
    """
    known = rules()
    if known is None:
        yield bar
        return
    check_room()
    keeping.note_visit(root())
    slots, begun = _slots(known.page_work_at_once), time.monotonic()
    while not slots.acquire(timeout=0.3):
        bar(Progress("waiting: other visitors come first", time.monotonic() - begun, None, "seconds"))
    try:
        yield _ending(bar, 60 * known.job_minutes)
    finally:
        slots.release()


def _ending(bar: ProgressCallback, seconds: float) -> Callable[[Progress], None]:
    begun = time.monotonic()

    def report(update: Progress) -> None:
        if time.monotonic() - begun > seconds:
            raise Stopped(f"Stopped after {seconds / 60:g} minutes, the longest that work may take on this server.")
        bar(update)

    return report
