"""The Hub's own client against a small Hub on this machine: the real code path, no network."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.tiny_models import save_tiny

CHECKOUT = Path(__file__).resolve().parents[2]
FIRST, SECOND = "1" * 40, "2" * 40
JSON = {"Content-Type": "application/json"}
SECRET = "hf_abcdefghijklmnopqrstuvwxyz12345678"
CARD = "---\nlicense: apache-2.0\nlanguage: en\n---\n# Tiny\n"


@dataclass
class Repository:
    """One model of the small Hub.

    Attributes:
        commits: commit -> file name -> content.
        refs: branch or tag -> commit.
        state: open, gated, hidden, refused (a token that is not accepted) or broken (the Hub fails).
    """

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    state: str = "open"


@dataclass
class Hub:
    """A running Hub and what it was asked: (method, path, authorization)."""

    address: str
    repositories: dict[str, Repository]
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def fetched(self) -> list[str]:
        """The files whose content was sent."""
        return [path.rsplit("/", 1)[1] for method, path, _ in self.asked if method == "GET" and "/resolve/" in path]


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            return None

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path, self.headers.get("Authorization")))
            parts = path.strip("/").split("/")
            api = parts[:2] == ["api", "models"]
            name = "/".join(parts[2:4] if api else parts[:2])
            repository = hub.repositories.get(name)
            if repository is None or repository.state == "hidden":
                self.fail(401, "RepoNotFound")
            elif repository.state == "gated" and not api:
                # As the real Hub: everyone may see what is there, but not fetch it.
                self.fail(403, "GatedRepo")
            elif repository.state == "refused":
                self.fail(401, None, "Invalid credentials in Authorization header")
            elif repository.state == "broken":
                self.fail(500, None)
            else:
                revision = (parts[5] if len(parts) > 5 else "main") if api else parts[3]
                commit = repository.refs.get(revision, revision)
                if commit not in repository.commits:
                    self.fail(404, "RevisionNotFound")
                elif api and parts[4:5] == ["tree"]:
                    self.tree(repository.commits[commit])
                elif api:
                    self.info(name, commit)
                else:
                    self.file(commit, repository.commits[commit].get("/".join(parts[4:])))

        def info(self, name: str, commit: str) -> None:
            self.send(200, json.dumps({"id": name, "sha": commit}).encode(), JSON)

        def tree(self, files: dict[str, bytes]) -> None:
            listed = [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in files.items()
            ]
            self.send(200, json.dumps(listed).encode(), JSON)

        def file(self, commit: str, content: bytes | None) -> None:
            if content is None:
                self.fail(404, "EntryNotFound")
                return
            tag = hashlib.sha256(content).hexdigest()
            self.send(200, content, {"X-Repo-Commit": commit, "ETag": f'"{tag}"'})

        def fail(self, status: int, code: str | None, message: str = "no") -> None:
            headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
            self.send(status, b"{}", headers)

        def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

    return Handler


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, bytes]]:
    """The files of two tiny models, by seed."""
    made = {}
    for seed in (0, 1):
        folder = save_tiny("llama", tmp_path_factory.mktemp("tiny") / str(seed), seed=seed)
        made[seed] = {path.name: path.read_bytes() for path in folder.iterdir()}
    return made


@pytest.fixture
def hub(tiny: dict[int, dict[str, bytes]]) -> Iterator[Hub]:
    extra = {"README.md": CARD.encode(), "model.bin.gguf": b"", "onnx/model.onnx": b"x" * 999, "evil.py": b"raise 1"}
    weights = {"pytorch_model.bin": b"pickle"}
    bare = {name: content for name, content in tiny[0].items() if not name.endswith(".safetensors")}
    repositories = {
        "maker/tiny": Repository(
            {FIRST: tiny[0], SECOND: {**tiny[1], **extra, **weights}}, {"v1": FIRST, "main": SECOND}
        ),
        "maker/pickled": Repository({FIRST: {**bare, **weights}}, {"main": FIRST}),
        "maker/gguf": Repository({FIRST: {"README.md": b"", "m.Q4.gguf": b"GGUF"}}, {"main": FIRST}),
        "maker/empty": Repository({FIRST: {"config.json": b"{}"}}, {"main": FIRST}),
        "maker/bare": Repository({FIRST: {"model.safetensors": b""}}, {"main": FIRST}),
        "maker/adapter": Repository({FIRST: {"adapter_config.json": b"{}"}}, {"main": FIRST}),
        "maker/both": Repository({FIRST: {**tiny[0], "adapter_config.json": b"{}"}}, {"main": FIRST}),
        "maker/gated": Repository({FIRST: tiny[0]}, {"main": FIRST}, "gated"),
        **{f"maker/{state}": Repository({}, {}, state) for state in ("hidden", "refused", "broken")},
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    running = Hub(f"http://127.0.0.1:{server.server_port}", repositories)
    server.RequestHandlerClass = handler(running)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield running
    server.shutdown()
    server.server_close()
    thread.join()


_PROGRAM = """
import json, logging, sys, threading
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from unlearning_core.errors import WorkbenchError
from unlearning_core.models.sources import hub
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.sources.resolve import fingerprint, local_folder
if "load_model" in sys.argv[1]:  # it imports torch, which nothing else here needs
    from unlearning_core.models.loading import load_model
reports = []
def attempt(expression):
    try:
        return eval(expression)
    except WorkbenchError as error:
        return {"error": type(error).__name__, "sentence": str(error)}
print(json.dumps(attempt(sys.argv[1])))
"""


def ask(hub: Hub, home: Path, expression: str, **environment: str) -> tuple[Any, str]:
    """Evaluate in a fresh process that knows only the small Hub; the result and all that was printed or logged."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, expression],
        env={**kept, **settings, "OMP_NUM_THREADS": "1", **environment},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


def test_a_model_is_inspected_then_fetched_then_loaded(hub: Hub, tmp_path: Path) -> None:
    told, _ = ask(hub, tmp_path, "inspect_model('maker/tiny').to_dict()")
    files = hub.repositories["maker/tiny"].commits[SECOND]
    assert (told["revision"], told["licence"]) == (SECOND, "apache-2.0")
    assert told["download_bytes"] == len(files["model.safetensors"])
    assert "model.safetensors" not in hub.fetched()
    loaded, _ = ask(
        hub,
        tmp_path,
        "(lambda m: [m.info.to_dict(), m.model.model.norm.weight.tolist(), [r.__dict__ for r in reports]])"
        "(load_model('maker/tiny', progress=reports.append))",
    )
    info, norm, reports = loaded
    assert info["parameters"] == told["parameters"]
    assert info["revision"] == SECOND
    from tests.tiny_models import tiny_model

    assert norm == tiny_model("llama", seed=1).model.norm.weight.tolist()
    fetching = [report for report in reports if report["task"].startswith("fetching")]
    assert fetching[-1]["done"] == fetching[-1]["total"] >= told["download_bytes"]
    unwanted = {"pytorch_model.bin", "evil.py", "model.onnx", "model.bin.gguf"}
    assert unwanted.isdisjoint(hub.fetched())
    assert hub.fetched().count("model.safetensors") == 1


def test_a_revision_chooses_the_commit(hub: Hub, tmp_path: Path) -> None:
    found, _ = ask(
        hub,
        tmp_path,
        f"[fingerprint('maker/tiny', r) for r in (None, 'main', 'v1', '{FIRST}')]"
        " + [str(local_folder('maker/tiny', revision='v1'))]",
    )
    assert found[:4] == [f"hub:maker/tiny@{commit}" for commit in (SECOND, SECOND, FIRST, FIRST)]
    weights = Path(found[4]) / "model.safetensors"
    assert weights.read_bytes() == hub.repositories["maker/tiny"].commits[FIRST]["model.safetensors"]


def test_offline_and_unreachable_use_what_was_fetched(hub: Hub, tmp_path: Path) -> None:
    online, _ = ask(hub, tmp_path, "str(local_folder('maker/tiny'))")
    asked = len(hub.asked)
    both = "[str(local_folder('maker/tiny')), fingerprint('maker/tiny')]"
    offline, _ = ask(hub, tmp_path, both, HF_HUB_OFFLINE="1")
    assert offline == [online, f"hub:maker/tiny@{SECOND}"]
    assert len(hub.asked) == asked
    gone, text = ask(hub, tmp_path, both, HF_ENDPOINT="http://127.0.0.1:9")
    assert gone == offline
    assert "Could not reach the Hub" in text


REFUSED = [
    ("local_folder('maker/nonesuch')", "InputError", "neither a folder on this machine nor a model on the Hub"),
    ("local_folder('maker/hidden')", "InputError", "hf auth login"),
    ("inspect_model('maker/gated')", "InputError", "maker/gated is gated: ask for access"),
    ("local_folder('maker/refused')", "InputError", "refused this machine's login for maker/refused"),
    ("local_folder('maker/broken')", "WorkFailed", "The Hub answered 500 for maker/broken"),
    ("local_folder('maker/tiny', revision='v9')", "InputError", "maker/tiny has no revision 'v9'"),
    ("local_folder('maker/pickled')", "InputError", "base_model.allow_pickle=true"),
    ("local_folder('maker/gguf')", "InputError", "hf download maker/gguf m.Q4.gguf"),
    ("local_folder('maker/empty')", "InputError", "holds no weights"),
    ("inspect_model('maker/bare')", "InputError", "no config.json"),
    ("inspect_model('maker/adapter')", "InputError", "maker/adapter is an adapter (LoRA)"),
    ("local_folder('maker/both')", "InputError", "maker/both holds a whole model and an adapter beside it"),
    ("local_folder('maker--tiny/x')", "InputError", "neither a folder on this machine nor a model on the Hub"),
]


def test_each_refusal_has_a_sentence(hub: Hub, tmp_path: Path) -> None:
    told, _ = ask(hub, tmp_path, f"[attempt(one) for one in {[expression for expression, _, _ in REFUSED]!r}]")
    for (expression, error, sentence), refusal in zip(REFUSED, told, strict=True):
        assert refusal["error"] == error, expression
        assert sentence in refusal["sentence"], expression
        assert "\n" not in refusal["sentence"]
        assert "http" not in refusal["sentence"]


def test_no_hub_at_all_is_a_failure_with_a_sentence(hub: Hub, tmp_path: Path) -> None:
    told, _ = ask(hub, tmp_path, "local_folder('maker/tiny')", HF_ENDPOINT="http://127.0.0.1:9")
    assert told["error"] == "WorkFailed"
    assert "cannot be reached" in told["sentence"]


def test_pickles_are_fetched_only_when_allowed(hub: Hub, tmp_path: Path) -> None:
    folder, _ = ask(hub, tmp_path, "str(local_folder('maker/pickled', allow_pickle=True))")
    assert (Path(folder) / "pytorch_model.bin").read_bytes() == b"pickle"


def test_the_token_goes_to_the_hub_and_nowhere_else(hub: Hub, tmp_path: Path) -> None:
    _, text = ask(hub, tmp_path, "str(local_folder('maker/tiny'))", HF_TOKEN=SECRET)
    # The client also asks once what may be asked at all, without a login.
    assert {login for _, path, login in hub.asked if "maker" in path} == {f"Bearer {SECRET}"}
    refused, more = ask(hub, tmp_path, "local_folder('maker/refused')", HF_TOKEN=SECRET)
    assert SECRET not in text + more + json.dumps(refused)
    assert SECRET not in "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


def test_a_stop_while_fetching_gets_through_and_the_next_call_goes_on(hub: Hub, tmp_path: Path) -> None:
    stop = (
        "local_folder('maker/tiny', progress=lambda r: (_ for _ in ()).throw(__import__('unlearning_core.errors')"
        ".errors.Stopped('stopped by hand')) if r.done > 0 else None)"
    )
    told, _ = ask(hub, tmp_path, stop)
    assert told["error"] == "Stopped"
    folder, _ = ask(hub, tmp_path, "str(local_folder('maker/tiny'))")
    files = hub.repositories["maker/tiny"].commits[SECOND]
    assert (Path(folder) / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_model_that_was_only_looked_at_is_not_there_offline(hub: Hub, tmp_path: Path) -> None:
    ask(hub, tmp_path, "inspect_model('maker/tiny').to_dict()")
    told, _ = ask(hub, tmp_path, "str(local_folder('maker/tiny'))", HF_HUB_OFFLINE="1")
    assert told["error"] == "InputError"
    assert "not in the cache while the Hub is switched off" in told["sentence"]


def test_progress_is_told_in_the_thread_that_asked(hub: Hub, tmp_path: Path) -> None:
    told, _ = ask(
        hub,
        tmp_path,
        "(local_folder('maker/tiny', progress=lambda r: reports.append(threading.get_ident())),"
        " set(reports) == {threading.get_ident()})[1]",
    )
    assert told is True
