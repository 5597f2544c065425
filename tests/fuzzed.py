"""Hostile files by the thousand, for readers of what other people made; run in a process of its own.

`python -m tests.fuzzed CASES FOLDER` writes CASES files, in equal parts of each kind, into FOLDER and reads each. More
than `SPARE` bytes beyond what the libraries take, a case of more than `SECONDS`, or anything but success or a sentence
ends it with an error; the last line of a whole run tells how many cases there were.
"""

import io
import json
import resource
import shutil
import signal
import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.mutations import is_one_sentence
from tests.tiny_models import FAMILIES, save_tiny
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import WorkbenchError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.sources.folder import read_tokenizer, tensor_shapes
from unlearning_core.models.sources.gguf import read_gguf
from unlearning_core.models.sources.zip import unpack_zip
from unlearning_core.runs.transfer import import_run

SPARE = 2 << 30
SECONDS = 20

_SIZES = st.sampled_from([-1, 0, 1, 2, 3, 4, 31, 32, 48, 400, 10**3, 10**5, 10**6, 10**9, 2**31, 2**40, 2**63, 10**30])
_SCALARS = (
    st.none() | st.booleans() | _SIZES | st.floats() | st.text(max_size=8) | st.sampled_from(["3", "llama", "x" * 5000])
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
_DEEP = st.sampled_from([50, 70, 500, 100_000]).map(lambda depth: "[" * depth + "]" * depth)
_LONG = st.sampled_from([1_000, 100_000]).flatmap(lambda count: st.sampled_from(["[]", "0", '"a"']).map(
    lambda one: "[" + ",".join([one] * count) + "]"))  # fmt: skip
_MARK = "\uffff raw \uffff"


def _places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a JSON value; of a long list or object, to the first few."""
    found = [above] if above else []
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items[:20]:
        found += _places(inner, (*above, key))
    return found


@st.composite
def changed(draw: st.DrawFn, good: Any) -> str:
    """JSON of `good` with one to three of its values replaced, removed or added to."""
    value = json.loads(json.dumps(good))
    raw = "0"
    for _ in range(draw(st.integers(1, 3))):
        places = _places(value)
        if not places:
            break
        *path, key = draw(st.sampled_from(places))
        holder = value
        for step in path:
            holder = holder[step]
        kind = draw(st.sampled_from(["size", "size", "value", "value", "lost", "added", "raw"]))
        if kind == "lost":
            del holder[key]
        elif kind == "added" and isinstance(holder, dict):
            holder[draw(st.text(max_size=6))] = draw(_VALUES)
        elif kind == "raw":
            raw, holder[key] = draw(_DEEP | _LONG), _MARK
        else:
            holder[key] = draw(_SIZES if kind == "size" else _VALUES)
    return json.dumps(value).replace(json.dumps(_MARK), raw)


_LENGTHS = st.sampled_from([0, 1, 7, 8, 255, 2**16, 2**28, 2**31, 2**40, 2**50, 2**60, 2**63, 2**64 - 1])
_TENSOR = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def _mostly(right: Any, wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is right, and now and then something else: a reader is to come past its first check."""
    return st.integers(0, 9).flatmap(lambda number: st.just(right) if number < 9 else wrong)


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    """A safetensors file whose header's length or content is wrong, or neither."""
    header = draw(changed({"a": _TENSOR, "b": _TENSOR | {"data_offsets": [16, 32]}, "__metadata__": {"format": "pt"}}))
    length = draw(_mostly(len(header), _LENGTHS))
    return struct.pack("<Q", length) + header.encode() + b"\0" * draw(st.sampled_from([0, 32, 33]))


def _text(draw: st.DrawFn, text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", draw(_mostly(len(content), _LENGTHS))) + content


@st.composite
def gguf(draw: st.DrawFn) -> bytes:
    """A GGUF header: fields and tensors of any kind, with counts and lengths that are mostly right."""
    out = io.BytesIO()
    fields = draw(st.lists(st.sampled_from([
        "general.architecture", "general.alignment", "general.license", "llama.block_count", "llama.context_length",
        "llama.embedding_length", "llama.feed_forward_length", "llama.attention.head_count",
    ]), max_size=6))  # fmt: skip
    fields = draw(_mostly(["general.architecture", *fields], st.just(fields)))
    tensors = draw(st.integers(0, 3))
    out.write(b"GGUF" + struct.pack("<I", draw(_mostly(3, st.sampled_from([0, 1, 2, 2**32 - 1])))))
    out.write(struct.pack("<QQ", draw(_mostly(tensors, _LENGTHS)), draw(_mostly(len(fields), _LENGTHS))))
    for name in fields:
        out.write(_text(draw, name))
        usual = 8 if name.startswith("general.a") or name.endswith("license") else 4
        kind = draw(_mostly(usual, st.sampled_from([4, 6, 7, 8, 9, 10, 13, 2**31])))
        out.write(struct.pack("<I", kind))
        if kind == 8:
            out.write(_text(draw, draw(st.sampled_from(["llama", "mit", "", "é" * 5]))))
        elif kind == 9:
            nested = draw(st.sampled_from([0, 1, 3, 5000]))
            out.write(struct.pack("<IQ", 9, 1) * nested + struct.pack("<IQ", draw(st.sampled_from([0, 4, 8, 12])), 1))
            out.write(draw(st.binary(max_size=16)))
        else:
            out.write(draw(st.binary(min_size=4, max_size=4) if kind in (4, 6) else st.binary(min_size=1, max_size=8)))
    for number in range(tensors):
        out.write(_text(draw, draw(st.sampled_from(["token_embd.weight", f"blk.{number}.ffn_up.weight"]))))
        shape = draw(_mostly([32, 2], st.lists(_LENGTHS, max_size=4)))
        out.write(struct.pack("<I", draw(_mostly(len(shape), st.sampled_from([9, 2**32 - 1])))))
        out.write(b"".join(struct.pack("<Q", size) for size in shape))
        kind, place = draw(_mostly(0, st.sampled_from([1, 2, 8, 12, 99]))), draw(_mostly(256 * number, _LENGTHS))
        out.write(struct.pack("<IQ", kind, place))
    return (out.getvalue() + b"\0" * 4096)[: draw(_mostly(1 << 20, st.integers(4, 200)))]


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    """A zip of a few members, some of them bombs, with some of its bytes changed."""
    names = ["config.json", "model/config.json", "run.json", "run/config.json", "run/status.json", "a", "a/b", "../x"]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in draw(st.lists(st.sampled_from(names), max_size=5, unique=True)):
            small = draw(st.sampled_from(['{"model_type": "llama"}', '{"format": 1, "id": "20260101-000000-a"}', "[]"]))
            archive.writestr(name, draw(st.just(small) | st.just("0" * 3_000_000)))
    content = bytearray(out.getvalue())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(content) - 1) | st.integers(max(0, len(content) - 90), len(content) - 1))
        content[at] = draw(st.integers(0, 255))
    return bytes(content)


def _kinds(root: Path, good: Path) -> dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], object]]]:
    """By kind: what makes a case, and what reads it."""
    model, recipe = root / "model", root / "recipe"
    configs = [json.loads((good / family / "config.json").read_text(encoding="utf-8")) for family in FAMILIES]
    tokenizer = json.loads((good / "llama" / "tokenizer.json").read_text(encoding="utf-8"))
    own = json.loads((good / "llama" / "config.json").read_text(encoding="utf-8"))
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}
    mask, of_rows = ((recipe / f"{name}.safetensors").read_bytes() for name in ("mask", "rows"))
    cut = json.loads((recipe / "recipe.json").read_text(encoding="utf-8"))

    def write(path: Path, content: str | bytes) -> Path:
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def config(content: str) -> None:
        write(model / "config.json", content)
        inspect_model(str(model))

    def tokens(content: str) -> None:
        write(model / "config.json", json.dumps(own))
        read_tokenizer(write(model / "tokenizer.json", content).parent)

    def weights(content: bytes) -> None:
        write(recipe / "recipe.json", json.dumps(cut))
        tensor_shapes(write(recipe / "mask.safetensors", content))
        for name, other, good in (("mask", "rows", of_rows), ("rows", "mask", mask)):
            write(recipe / f"{name}.safetensors", content)
            write(recipe / f"{other}.safetensors", good)
            with suppress(WorkbenchError):
                Recipe.load(recipe)

    def header(content: bytes) -> None:
        read_gguf(write(root / "model.gguf", content))
        # A header that can be read is still hardly ever that of a whole model.
        with suppress(WorkbenchError):
            inspect_model(str(root / "model.gguf"))

    def recipes(content: str) -> None:
        write(recipe / "mask.safetensors", mask)
        write(recipe / "rows.safetensors", of_rows)
        write(recipe / "recipe.json", content)
        with suppress(WorkbenchError):
            Recipe.load(recipe, {"mlp": (3, 48)})
        Recipe.load(recipe)

    def archive(content: bytes) -> None:
        path = write(root / "a.zip", content)
        try:
            unpack_zip(path, root / "unpacked")
        except WorkbenchError:
            import_run(path, root / "runs")
        finally:
            for name in ("unpacked", "runs"):
                shutil.rmtree(root / name, ignore_errors=True)

    return {
        "config.json": (st.sampled_from(configs).flatmap(changed), config),
        "tokenizer.json": (changed(tokenizer), tokens),
        "safetensors": (safetensors(), weights),
        "gguf": (gguf(), header),
        "recipe": (changed(cut), recipes),
        "zip": (zips(), archive),
    }


def _good(root: Path) -> Path:
    good = root / "good"
    for family in FAMILIES:
        save_tiny(family, good / family)
    shutil.copytree(good / "llama", root / "model")

    rows = TokenRows(np.array([2, 5]), 0.5, np.ones(4, np.float32))
    cut = Mask.from_neurons({"mlp": (3, 48)}, [("mlp", 0, 1)])
    Recipe(cut, "model", {"words": ["chair"]}, 0.1, rows=rows).save(root / "recipe")
    inspect_model(str(root / "model"))  # what is imported and remembered once belongs to no case
    read_tokenizer(root / "model")
    return good


def _read_all(kind: str, strategy: st.SearchStrategy[Any], read: Callable[[Any], object], cases: int) -> Counter[str]:
    told = Counter[str]()

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @seed(16)
    @given(strategy)
    def each(content: Any) -> None:
        signal.alarm(SECONDS)
        said = None
        try:
            read(content)
        except WorkbenchError as error:
            said = str(error)
        finally:
            signal.alarm(0)
        assert said is None or is_one_sentence(said), said
        told[f"{kind}: read" if said is None else f"{kind}: a sentence"] += 1

    each()
    return told


def main(cases: int, root: Path) -> None:
    """Read `cases` files; raises what a reader raises beyond a sentence."""
    kinds, told = _kinds(root, _good(root)), Counter[str]()
    limit = psutil.Process().memory_info().vms + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def too_slow(number: int, frame: object) -> None:
        raise TimeoutError(f"a case takes more than {SECONDS} s")

    signal.signal(signal.SIGALRM, too_slow)
    for kind, (strategy, read) in kinds.items():
        told.update(_read_all(kind, strategy, read, -(-cases // len(kinds))))
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
