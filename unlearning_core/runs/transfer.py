"""A run as one zip that another machine can go on with: its settings, its results, and the texts that it was made from.

The zip holds `run.json` (format, id), `run/` (what a person changes: settings, manifest, log, notes, inputs, named
recipes) and `artifacts/<kind>/<fingerprint>/` (every result that the run points at).
"""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from unlearning_core.archives import check_disk, check_members, extract, opened
from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors, write_file
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.reading import check_form, parse_json
from unlearning_core.runs.forms import Record
from unlearning_core.runs.listing import is_run_name, remove_unused
from unlearning_core.runs.manifest import DAMAGED, Busy, kind_of
from unlearning_core.runs.run import Run
from unlearning_core.runs.sources import keep_sources, text_sources, word_sources
from unlearning_core.runs.stages.registry import stages_of
from unlearning_core.runs.store import RECORD, Artifact, Store, is_safe, is_whole

FORMAT = 1
_PACKED = {".safetensors", ".parquet", ".npz", ".arrow", ".bin", ".zip"}
"""Files that compressing makes no smaller, only slower."""
_IMPORTING = "importing"
_MEND = "Give a zip that `unlearn export` wrote."
_LARGEST_RECORD = 8 << 20


def export_run(run: Run, target: Path, progress: ProgressCallback = silent) -> Path:
    """Write the run as a zip, whole or not at all; returns `target`.

    Raises:
        Busy: somebody works on the run.
        InputError: `target` is a folder.
        WorkFailed: the disk is full.
    """
    if target.is_dir():
        raise InputError(f"{target} is a folder. Name the file to write, such as {target / (run.id + '.zip')}.")
    writable = os.access(run.folder, os.W_OK)
    # A run on a disk that cannot be written can be moved off it; nobody can work on it there.
    with run.manifest.working("exporting it") if writable else nullcontext():
        if writable:
            keep_sources(run, [*word_sources(run.config), *text_sources(run.config)])
        files = {f"run/{path.relative_to(run.folder).as_posix()}": path for path in run.own_files()}
        for artifact in _artifacts(run):
            place = f"artifacts/{artifact.kind}/{artifact.fingerprint}"
            files |= {f"{place}/{name}": artifact.path(name) for name in (RECORD, *artifact.record["files"])}
        write_file(target, lambda path: _write(path, run.id, files, progress))
    return target


def _write(path: Path, run_id: str, files: dict[str, Path], progress: ProgressCallback) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.json", json.dumps({"format": FORMAT, "id": run_id}))
        for done, (name, source) in enumerate(files.items(), start=1):
            archive.write(source, name, zipfile.ZIP_STORED if source.suffix in _PACKED else None)
            progress(Progress("exporting", done, len(files), "files"))


def _artifacts(run: Run) -> list[Artifact]:
    """Every result that the run points at; those of a copied run are put into the store first."""
    for stage in stages_of(run.config):
        if run.fingerprint(stage.name) and run.result(stage.name) is None:
            run.adopt(stage.name, stage.outputs)
    found = (run.store.get(*key) for key in sorted(run.manifest.references()))
    return [artifact for artifact in found if artifact is not None]


def import_run(source: Path, root: Path, progress: ProgressCallback = silent) -> Run:
    """Unpack a run that `export_run` wrote under `root`; it appears whole, or not at all.

    Raises:
        InputError: the file is no such zip, is damaged, or a run of its id is there already.
        WorkFailed: the disk is full.
    """
    if not source.is_file():
        raise InputError(f"{source} does not exist. Give a zip that `unlearn export` wrote.")
    with _readable(source), opened(source, str(source), _MEND) as archive, disk_errors(root), ExitStack() as stack:
        check_members(archive.infolist(), str(source))
        run = Run(root / _checked_id(archive, source))
        root.mkdir(parents=True, exist_ok=True)
        check_disk(str(source), archive.infolist(), root)
        temporary = Path(tempfile.mkdtemp(prefix=".importing.", dir=root))
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        _unpack(archive, "run/", temporary)
        temporary.chmod(0o755)
        unpacked = Run(temporary)
        state = unpacked.status()["state"]
        if state == DAMAGED:
            raise InputError(f"{source} is damaged: its status.json is no run's. Export the run again.")
        _ = unpacked.config  # raises InputError where it is damaged
        # From here on the run holds what comes next: nothing of it is removed as unused meanwhile.
        unpacked.manifest.update(state=_IMPORTING, stage=None)
        _take_place(unpacked, run, stack)
        try:
            _unpack_artifacts(archive, run, source, progress)
            for step, known in run.status()["stages"].items():
                artifact = run.store.get(kind_of(step), known.get("fingerprint"))
                if artifact is not None:
                    run.show(artifact)
            run.manifest.update(state="stopped" if state == "running" else state)
        except BaseException:
            shutil.rmtree(run.folder, ignore_errors=True)
            remove_unused(run.store)
            raise
    return run


def _take_place(unpacked: Run, run: Run, stack: ExitStack) -> None:
    """Give the unpacked folder its name, and work on it until `stack` ends; what an import left that died goes."""
    with run.store.lock():
        if run.folder.exists():
            if run.status()["state"] != _IMPORTING:
                raise InputError(
                    f"{run.folder.parent} has a run {run.id} already. Delete or rename it, then import again."
                )
            if run.manifest.worker() is not None:
                raise Busy(run.manifest.busy_sentence())
            shutil.rmtree(run.folder)
        unpacked.folder.rename(run.folder)
        stack.enter_context(run.manifest.working("importing it"))


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    """Whatever in the zip is not as `export` writes it is an InputError."""
    try:
        yield
    except (zipfile.BadZipFile, FileExistsError, NotADirectoryError, IsADirectoryError, LookupError, TypeError,
            AttributeError, ValueError) as error:  # fmt: skip
        raise InputError(f"{source} is damaged, or no run ({' '.join(str(error).split())[:200]}). {_MEND}") from error


def _unpack_artifacts(archive: zipfile.ZipFile, run: Run, source: Path, progress: ProgressCallback) -> None:
    store, keys = run.store, sorted(run.manifest.references())
    for done, (kind, fingerprint) in enumerate(keys, start=1):
        place = f"artifacts/{kind}/{fingerprint}/"
        if f"{place}{RECORD}" in archive.namelist():
            _unpack_artifact(archive, place, store, (kind, fingerprint), source)
        progress(Progress("importing", done, len(keys), "results"))


def _unpack_artifact(archive: zipfile.ZipFile, place: str, store: Store, key: tuple[str, str], source: Path) -> None:
    record = _json(archive, f"{place}{RECORD}")
    check_form(record, Record)
    with store.build(*key) as build:
        if build.artifact is not None:
            return
        _unpack(archive, place, build.folder)
        (build.folder / RECORD).unlink()
        if not is_whole(build.folder, record["files"]):
            raise InputError(f"{source} is damaged: {place} is not what it says. Export the run again.")
        build.summary, build.details = record["summary"], record.get("details") or {}


def _unpack(archive: zipfile.ZipFile, place: str, folder: Path) -> None:
    for member in archive.infolist():
        if member.filename.startswith(place) and not member.is_dir():
            extract(archive, member, folder / member.filename.removeprefix(place))


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    """A small file of the zip; raises ValueError where it is not JSON or not small."""
    if archive.getinfo(name).file_size > _LARGEST_RECORD:
        raise ValueError(f"{name} has {archive.getinfo(name).file_size:,} bytes")
    return parse_json(archive.read(name))


def _checked_id(archive: zipfile.ZipFile, source: Path) -> str:
    """The run's id, once every name in the zip is known to stay inside the folder that it is unpacked to."""
    for name in archive.namelist():
        if not is_safe(name.rstrip("/")) or ":" in name:
            raise InputError(f"{source} names {name!r}, which leads out of its folder; nothing was unpacked. {_MEND}")
    head = _json(archive, "run.json")
    archive.getinfo("run/config.json"), archive.getinfo("run/status.json")
    if head["format"] != FORMAT:
        raise InputError(
            f"{source} has the format {head['format']!r}; this workbench reads {FORMAT}. Export the run again."
        )
    if not isinstance(head["id"], str) or not is_run_name(head["id"]):
        raise InputError(f"{source} names the run {head['id']!r}, which no run can be called. {_MEND}")
    return head["id"]
