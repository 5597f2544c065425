"""A Hub on this machine that takes what is pushed to it and remembers it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "a" * 34


@dataclass
class Pushed:
    """What came: repositories that were made, and files by repository and path."""

    address: str = ""
    made: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refused: bool = False


def _handler(pushed: Pushed) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            return None

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if pushed.refused or self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.answer(403, {"error": "no"})
            elif self.path == "/api/repos/create":
                asked = json.loads(content)
                pushed.made.append(asked)
                self.answer(200, {"url": f"{pushed.address}/{asked['organization']}/{asked['name']}"})
            elif self.path == "/api/validate-yaml":  # the card's front matter
                self.answer(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                wanted = json.loads(content)["files"]
                modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in wanted]
                self.answer(200, {"files": modes})
            elif "/commit/" in self.path:
                name = "/".join(self.path.split("/")[3:5])
                lines = [json.loads(line) for line in content.splitlines()]
                new = {one["value"]["path"]: one["value"]["content"] for one in lines if one["key"] == "file"}
                pushed.files.setdefault(name, {}).update({path: base64.b64decode(text) for path, text in new.items()})
                self.answer(200, {"commitUrl": f"{pushed.address}/{name}/commit/1", "commitOid": "1" * 40})
            else:
                self.answer(404, {})

        def answer(self, status: int, value: dict[str, Any]) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


@contextmanager
def taking_pushes() -> Iterator[Pushed]:
    """The Hub, running."""
    pushed = Pushed()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(pushed))
    pushed.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield pushed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
