"""The insides of other libraries that are used are still what they were when `compat` was written."""

import inspect
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from tests.tiny_models import save_tiny
from unlearning_core.compat import building_a_model
from unlearning_core.errors import Stopped
from unlearning_core.models.loading import load_model
from unlearning_core.models.loading_bars import reporting
from unlearning_core.progress import Progress


def test_transformers_is_of_the_version_whose_insides_were_read() -> None:
    assert version("transformers").startswith("5.23."), "read compat.make_transformers_bars_with against this version"


def test_the_dequantising_loop_still_takes_tqdm_by_a_name_of_its_module() -> None:
    from transformers import modeling_gguf_pytorch_utils as converter

    loops = [line for line in inspect.getsource(converter.load_gguf_checkpoint).splitlines() if "tqdm(" in line]
    assert [line.strip() for line in loops] == [
        'for tensor in tqdm(reader.tensors, desc="Converting and de-quantizing GGUF tensors..."):'
    ]


def test_two_visitors_who_load_at_once_each_hear_of_their_own_model(tmp_path: Path) -> None:
    heard: dict[str, list[Progress]] = {"one": [], "other": []}
    folders = {name: str(save_tiny("llama", tmp_path / name)) for name in heard}
    together, waited = threading.Barrier(2), "waiting for another model that is being loaded"
    own = PreTrainedModel.tie_weights

    def visit(name: str) -> None:
        def hear(report: Progress) -> None:
            if not heard[name]:
                together.wait(300)  # both are in the middle of loading
            heard[name].append(report)

        load_model(folders[name], device="cpu", progress=hear)

    visitors = [threading.Thread(target=visit, args=(name,)) for name in heard]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(300)
    for name, reports in heard.items():
        mine = {f"loading {folders[name]}", f"checking {folders[name]}"}
        assert mine <= {report.task for report in reports} <= mine | {waited}
    assert sum(report.task == waited for reports in heard.values() for report in reports) >= 1
    # What transformers replaces while it loads is its own again: two at once would have left a replacement.
    assert PreTrainedModel.tie_weights is own


def test_who_waits_for_another_model_hears_it_at_once_and_may_stop(tmp_path: Path) -> None:
    folder, heard, ended = str(save_tiny("llama", tmp_path / "one")), [], []

    def stop(report: Progress) -> None:
        heard.append(report.task)
        raise Stopped("enough")

    def visit() -> None:
        with pytest.raises(Stopped):
            load_model(folder, device="cpu", progress=stop)
        ended.append(True)

    with building_a_model():
        visitor = threading.Thread(target=visit)
        visitor.start()
        visitor.join(300)
        assert (heard, ended) == (["waiting for another model that is being loaded"], [True])


def test_a_thread_that_does_not_listen_keeps_the_usual_bars(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    heard: list[Any] = []

    def loop() -> None:
        for _ in logging.tqdm(range(3), desc="usual"):
            pass

    with reporting("mine", heard.append):
        thread = threading.Thread(target=loop)
        thread.start()
        thread.join(300)
        assert heard == []
        loop()
    assert [report.done for report in heard] == [0, 1, 2, 3]
    assert capfd.readouterr().err.count("usual") >= 1
