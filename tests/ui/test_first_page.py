"""The first page is drawn without torch, which takes seconds to import, and OpenMP's threads do not spin."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ui.conftest import ROOT

SCRIPT = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
assert [title.value for title in app.title] == ["Unlearning Workbench"], app
assert not app.exception and not app.error
heavy = sorted({"torch", "transformers", "datasets", "sklearn", "pandas", "pyarrow"} & set(sys.modules))
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


# Streamlit runs the file of a page without app.py where a server is first asked for that page. (Here it finds the other
# pages no more once it has run that file: what is imported on the way is all that counts.)
PAGE_ALONE = """
import os, sys
from streamlit.testing.v1 import AppTest
os.environ.pop("OMP_WAIT_POLICY", None)
AppTest.from_file("pages/prune.py", default_timeout=60).run()
assert "pages.components.prune.cut_preview" in sys.modules
read = {"torch", "sklearn"} & set(sys.modules)
sys.exit(f"OpenMP was read before: {read}" if read else os.environ.get("OMP_WAIT_POLICY") != "PASSIVE")
"""


@pytest.mark.parametrize("script", [SCRIPT, PAGE_ALONE], ids=["no heavy library", "threads wait without spinning"])
def test_of_the_first_page_in_a_process_of_its_own(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
