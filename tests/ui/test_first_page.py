"""The first page is drawn without torch, which takes seconds to import."""

import subprocess
import sys
from pathlib import Path

from tests.ui.conftest import ROOT

SCRIPT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
assert [title.value for title in app.title] == ["Unlearning Workbench"], app
assert not app.exception and not app.error
heavy = sorted({"torch", "transformers", "datasets", "sklearn"} & set(sys.modules))
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


def test_the_first_page_imports_no_heavy_library(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
