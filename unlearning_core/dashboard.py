"""The command `unlearning-workbench`: serves the dashboard, as `streamlit run app.py` does in a checkout."""

import argparse
import runpy
import sys

from unlearning_core.files import ROOT


def main() -> None:
    """Serve until Ctrl-C; `runs/` and `logs/` are made in the working folder."""
    parser = argparse.ArgumentParser(prog="unlearning-workbench", description="Open the Unlearning Workbench.")
    parser.add_argument("--port", type=int, default=8501, help="default: %(default)s")
    parser.add_argument("--host", default="localhost", help="0.0.0.0 lets other machines in (default: %(default)s)")
    arguments = parser.parse_args()
    print(f"Unlearning Workbench: http://{arguments.host}:{arguments.port}    (Ctrl-C stops it)", flush=True)
    # The theme and the server's settings are in .streamlit/config.toml beside app.py, where Streamlit looks.
    sys.argv = [
        *("streamlit", "run", str(ROOT / "app.py")),
        *("--server.address", arguments.host, "--server.port", str(arguments.port)),
    ]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
