"""The command `unlearning-workbench`, in a checkout `python -m unlearning_core.dashboard`: serves the dashboard."""

import argparse
import os
import runpy
import sys

from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.visitors.rules import VARIABLE, rules

_HERE = ("localhost", "127.0.0.1", "::1")


def main(arguments: list[str] | None = None) -> None:
    """Serve until Ctrl-C; `runs/` and `logs/` are made in the working folder."""
    parser = argparse.ArgumentParser(prog="unlearning-workbench", description="Open the Unlearning Workbench.")
    parser.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    parser.add_argument("--host", default="localhost", help="0.0.0.0 lets other machines in (default: %(default)s)")
    parser.add_argument(
        "--public", action="store_true",
        help="visitors are strangers: each sees their own runs, names no path of this machine, and takes a share of it "
        f"(docs/public.md). The same as {VARIABLE}=1; it still listens to --host alone",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    if given.public:
        os.environ[VARIABLE] = "1"
    try:
        known = rules()
    except InputError as error:
        sys.exit(str(error))
    if known is None and given.host not in _HERE:
        print(
            f"Whoever reaches {given.host}:{given.port} can read every file that this user can read. Where these may "
            "be strangers, use --public.",
            file=sys.stderr,
        )
    print(f"Unlearning Workbench: http://{given.host}:{given.port}    (Ctrl-C stops it)", flush=True)
    # The theme and the server's settings are in .streamlit/config.toml beside app.py, where Streamlit looks.
    sys.argv = [
        *("streamlit", "run", str(ROOT / "app.py")),
        *("--server.address", given.host, "--server.port", str(given.port)),
        *(("--server.maxUploadSize", str(known.upload_mb)) if known is not None else ()),
    ]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
