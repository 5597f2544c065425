"""`unlearn filter`: a dataset without the concept."""

from unlearning_core.cli.options import Bar, ConceptOptions, OutputFolder, ReadingOptions
from unlearning_core.concepts.filtering import FilterSettings, filter_dataset


def filter_command(
    *,
    concept: ConceptOptions,
    dataset: str,
    reading: ReadingOptions | None = None,
    seed: int = 0,
    output_dir: OutputFolder,
    progress: Bar,
) -> None:
    """Leave the concept out of a dataset.

    Args:
        dataset: file, folder or name of a dataset.
        seed: of the validation split, where the dataset has none.
        output_dir: where the filtered dataset is written.
    """
    settings = FilterSettings(**(reading or ReadingOptions()).settings(), seed=seed)
    report = filter_dataset(dataset, concept.concept(), output_dir, settings, progress=progress)
    progress.close()
    for part in ("train", "validation"):
        print(f"{part}: {report[part]['kept']} kept, {report[part]['dropped']} dropped of {report[part]['total']}")
    print(output_dir)
