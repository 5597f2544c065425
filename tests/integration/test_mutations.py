"""Every reader of the product, given good files made bad: it reads them, or says in a sentence what is wrong."""

import os
import random
import shutil
import traceback
from pathlib import Path

import pytest

from tests.mutations import Mutation, is_one_sentence, mutations
from tests.readers import READERS, Reader, good_files
from unlearning_core.errors import WorkbenchError

MUTATIONS = int(os.environ.get("UNLEARNING_MUTATIONS", "60"))
"""Of each reader's files; the slow tier of a release sets 300."""

SEED = 16


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_files(tmp_path_factory.mktemp("good"))


def chosen(files: list[Path], others: list[Path]) -> list[tuple[Path, Mutation]]:
    """So many mutations of these files, of each kind some."""
    each = max(60, -(-MUTATIONS // len(files)))
    pairs = [
        (file, mutation)
        for file in files
        for mutation in mutations(
            file, [one for one in others if one.suffix == file.suffix and one != file], SEED, each
        )
    ]
    return random.Random(SEED).sample(pairs, min(MUTATIONS, len(pairs)))


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_a_bad_file_is_read_or_refused_in_a_sentence(reader: Reader, good: Path) -> None:
    others = [reader.files(good)[0] for reader in READERS]
    failures = []
    for file, mutation in chosen(reader.files(good), others):
        content = file.read_bytes()
        # Results have further names, in the run's folder: what is written must not reach those.
        file.unlink()
        file.write_bytes(content)
        mutation.apply(file)
        try:
            reader.read(good)
        except WorkbenchError as error:
            if not is_one_sentence(str(error)):
                failures.append(f"{file.name}, {mutation.name}: no sentence: {str(error)[:300]}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            failures.append(f"{file.name}, {mutation.name}: {traceback.format_exception(error)[-2:]}")
        finally:
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            file.unlink(missing_ok=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    assert failures == []
