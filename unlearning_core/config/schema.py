"""What a config may hold: every setting of an experiment, with its range, its default and a description."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

DEFAULT_STARTER = "smallworld"
"""The starter that `run` uses when neither a config nor a starter is named."""

PATH = "path"
"""Marks a field that may hold the path of a file or folder: a relative one is looked up when a config is read."""

Location = Annotated[str | None, PATH]


def _a_number(value: Any) -> Any:
    if isinstance(value, bool):  # else true would be all of it
        raise ValueError("write a share, such as 0.02")
    return value


def _a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Section(BaseModel):
    """A part of the config; unknown keys are refused, so that a typing error cannot silently do nothing."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class BaseModelSection(Section):
    """Which model is edited."""

    base_model_path: Annotated[str, PATH] = Field(
        DEFAULT_STARTER, min_length=1, description="a folder, a .gguf file, a Hub id or a starter"
    )
    model_type: str | None = Field(None, description="checked against the model (gpt2, llama, ...)")
    neurons_per_layer: int | None = Field(None, description="checked against the model's hidden size or site width")
    num_layers: int | None = Field(None, description="checked against the model")
    revision: str | None = Field(None, description="branch, tag or commit of a Hub model")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps")
    dtype: str = Field("auto", description="auto, float32, bfloat16, float16")
    device_map: Literal["auto"] | None = Field(
        None, description="auto: spread over all graphics cards, then memory, then disk; none: all on the device"
    )
    quantize: Literal["8bit", "4bit"] | None = Field(
        None, description="linear maps in so many bits for ranking and preview (bitsandbytes); edits stay exact"
    )
    allow_pickle: bool = Field(False, description="also load pytorch_model.bin; only from someone you trust")
    extra_tokens: Literal["refuse", "resize", "drop"] = Field(
        "refuse", description="tokens without a row in the embedding: refuse, resize (new rows, the mean), drop them"
    )

    def how_to_load(self) -> dict[str, Any]:
        """How this model is read, and others beside it: arguments of `load_model` and `inspect_model`."""
        return self.model_dump(include={"device", "dtype", "device_map", "allow_pickle", "extra_tokens"})


class TextReadingSection(Section):
    """How a text source is to be read, where it is in doubt."""

    delimiter: str | None = Field(None, description="of a table: a sign or its name; none: each line is one text")
    header: bool | None = Field(None, description="whether the first row of a table names its columns")
    encoding: str | None = Field(None, description="of a text file, such as cp1252; UTF-8 unless said")
    roles: list[str] = Field(default_factory=list, description="whose turns of chat data; all but system and tools")


class TokenRowsSection(Section):
    """The rows of embedding and output head that belong to the concept's own tokens: reset beside the cut."""

    strength: float = Field(
        0.0, ge=0, le=1, description="0 leaves them, 1 puts a row that means nothing in their place"
    )
    share: float = Field(0.95, gt=0, le=1, description="of a token's occurrences that must lie in the concept's words")
    kept: list[str] = Field(default_factory=list, description="tokens that are not reset, as the list writes them")
    broad_text: bool = Field(
        True, description="also ask a table of word frequencies; false where the run's text is all the model ever read"
    )


class NeuralProbingSection(Section):
    """What the concept is, where it occurs, how its neurons are found and how many are cut."""

    concept_definition: Annotated[str | list[str], PATH] = Field(
        "data/target_words.txt", description="a file of concept words (one a line, commas or CSV), or a list of words"
    )
    inflections: bool = Field(True, description="also match inflected forms (sit -> sat, sitting)")
    language: str = Field("en", description="language of the inflections")
    tokens_input_path: Location = Field(None, description="tokens file in the seed's and NeuroX's format")
    labels_input_path: Location = Field(None, description="labels file that goes with it")
    target_label: str = Field("target", description="the label of concept tokens in the labels file")
    activations_label: str | None = Field(None, description="a short name for the run folder")
    sentences: Location = Field(None, description="sentences when there is no tokens file: file, folder or dataset")
    sentences_split: str | None = Field(None, description="split of that dataset")
    sentences_column: str | None = Field(None, description="text column of that dataset or CSV")
    sentences_reading: TextReadingSection = Field(default_factory=TextReadingSection, description="where in doubt")
    retain_corpus: Location = Field(None, description="more text without the concept, to rank against and measure on")
    retain_corpus_split: str | None = Field(None, description="split of that dataset")
    retain_corpus_column: str | None = Field(None, description="text column of that dataset or CSV")
    retain_corpus_reading: TextReadingSection = Field(default_factory=TextReadingSection, description="as above")
    neighbours: Annotated[str | list[str] | None, PATH] = Field(
        None, description="words near the concept that must stay, a file or a list: ranked against, measured apart"
    )
    neighbour_corpus: Location = Field(None, description="more text about neighbours; without their words all of it")
    neighbour_corpus_split: str | None = Field(None, description="split of that dataset")
    neighbour_corpus_column: str | None = Field(None, description="text column of that dataset or CSV")
    neighbour_corpus_reading: TextReadingSection = Field(default_factory=TextReadingSection, description="as above")
    neighbour_share: float = Field(
        0.5, ge=0, lt=1, description="share of neighbours in the text that is ranked against, by weight; 0: all alike"
    )
    dropped_sentences: list[str] = Field(default_factory=list, description="sentences of these that are left out")
    dropped_words: list[str] = Field(default_factory=list, description="words, or forms, whose sentences are left out")
    dropped_senses: list[tuple[str, str]] = Field(
        default_factory=list, description='["chair", "meeting"]: left out where both stand in a sentence'
    )
    max_concept_sentences: int = Field(600, ge=2, description="sentences with the concept that are used at most")
    max_retain_sentences: int = Field(600, ge=0, description="sentences without it that are ranked against at most")
    held_out: float = Field(0.25, gt=0, lt=1, description="fraction of the sentences kept for measuring only")
    site: Literal["mlp", "head", "residual"] = Field("mlp", description="which kind of neuron")
    alignment: Literal["before", "at"] = Field("before", description="read where the word is predicted, or at it")
    aggregation: Literal["token", "average", "first", "last"] = Field("token", description="sub-words to words")
    skip_first_position: bool = Field(True, description="leave the attention sink at position 0 out of all statistics")
    protect_massive: bool = Field(True, description="never cut the neurons that write the attention sink")
    ranker: str = Field("combined", description="ranking method; the command `rankers` lists them")
    ranker_parameters: dict[str, Any] = Field(default_factory=dict, description="that method's own parameters")
    prune_ratio: float = Field(0.003, ge=0, le=1, description="fraction of the ranked neurons that is cut")
    per_layer: bool = Field(False, description="cut the same fraction of every layer instead of the overall top")
    protected_layers: list[int] = Field(
        default_factory=list, description="layers, from 0, of which nothing is cut; the ratio is of all others"
    )
    excluded_neurons: list[tuple[Literal["mlp", "head", "residual"], int, int]] = Field(
        default_factory=list, description='["mlp", 3, 17] is site, layer, index of a neuron that no cut touches'
    )
    picked_neurons: list[tuple[Literal["mlp", "head", "residual"], int, int]] = Field(
        default_factory=list, description='["mlp", 3, 17] is a neuron that is cut at any ratio, whatever its rank'
    )
    layer_ratios: dict[Annotated[int, Field(ge=0)], Annotated[float, BeforeValidator(_a_number), Field(ge=0, le=1)]] = (
        Field(
            default_factory=dict,
            description='{"3": 0.02}: the share of layer 3, in place of what prune_ratio takes there',
        )
    )
    token_rows: TokenRowsSection = Field(default_factory=TokenRowsSection, description="reset beside the cut")


class SearchSection(Section):
    """The smallest cut that forgets enough at a bearable price, in place of a fixed prune ratio."""

    forget: float | None = Field(None, gt=0, description="nats a concept token to forget at least; none: prune_ratio")
    retain: float = Field(0.05, ge=0, description="nats a token that other text, neighbours too, may lose at most")
    sentences: int = Field(100, ge=2, description="held-out sentences with, and as many without the concept")


class RetrainingSection(Section):
    """How the pruned model recovers on text without the concept."""

    enabled: bool = Field(True, description="false stops after pruning")
    train_dataset_path: Location = Field(None, description="training text; filtered of the concept once more")
    val_dataset_path: Location = Field(None, description="validation text; filtered too")
    dataset: Location = Field(None, description="or one dataset to filter and split; none: the retain sentences")
    dataset_split: str | None = Field(None, description="its split to train on; none: train, validated on validation")
    dataset_column: str | None = Field(None, description="its text column")
    dataset_reading: TextReadingSection = Field(default_factory=TextReadingSection, description="where in doubt")
    max_train_texts: int | None = Field(None, ge=1, description="training texts that are read, at most")
    num_train_epochs: float = Field(1.0, ge=1e-6, le=10_000, description="passes over the text")
    max_steps: int | None = Field(None, ge=1, le=2**31, description="stop after so many optimizer steps")
    learning_rate: float = Field(2e-5, ge=1e-12, le=1, description="peak learning rate (2e-5 is usual)")
    weight_decay: float = Field(0.01, ge=0, le=10, description="AdamW weight decay")
    warmup_ratio: float = Field(0.05, ge=0, le=0.999, description="fraction of the steps that warm up")
    batch_size: int = Field(4, ge=1, le=65_536, description="texts an optimizer step, over all devices together")
    max_length: int | None = Field(None, ge=2, le=1_048_576, description="tokens a sequence; none: up to 512")
    keep_pruned: bool = Field(True, description="hold cut neurons and reset token rows; false lets them regrow")
    objective: Literal["text", "distill"] = Field(
        "text", description="learn the text itself, or what the base says of it without the concept's words"
    )
    noise: float = Field(
        0.0, ge=0, le=1, description="distill: share of fresh weights mixed in before it (UNDO's alpha)"
    )
    noise_scale: float = Field(0.1, ge=0, le=10, description="distill: scale of these fresh weights (UNDO's beta)")
    other_sense_texts: Location = Field(
        None, description="distill: text with the words in another sense; reset rows learn that sense alone"
    )
    other_sense_ridge: float = Field(
        2e-5,
        gt=0,
        le=1,
        description="distill: how strongly a row is held back from another sense",
    )
    depth_weight: float = Field(
        0.0, ge=0, le=1000, description="distill: weight of what the base's upper layers can read from inside"
    )
    concept_texts: int = Field(
        0, ge=0, le=65_536, description="distill: texts about the concept a step, read as if never heard of"
    )
    concept_weight: float = Field(1.0, ge=0, le=1000, description="distill: weight of one of them; others have 1")
    measure_while_learning: bool = Field(True, description="measure a few sentences on the way, in 5 % of the time")
    report_to: Annotated[list[Literal["tensorboard", "wandb", "trackio"]], BeforeValidator(_a_list)] = Field(
        default_factory=list, description="where the training's numbers are sent as well; installed by you"
    )
    gradient_checkpointing: bool = Field(
        False, description="compute each block twice instead of keeping what it held: less memory, a third more time"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the matrix products; auto: bfloat16 where the hardware multiplies in it"
    )
    optimizer: Literal["adamw", "adafactor", "adamw_8bit", "paged_adamw_8bit"] = Field(
        "adamw",
        description="adafactor and 8-bit AdamW keep less; paged: in memory where the card is full",
    )
    lora_rank: int | None = Field(
        None, ge=1, le=1024, description="train LoRA adapters of this rank, merged in the end; none: all weights"
    )
    lora_alpha: float | None = Field(
        None, gt=0, le=1e6, description="weight of the adapters, over the rank; none: twice the rank"
    )
    checkpoint_steps: int = Field(100, ge=1, le=2**31, description="optimizer steps between checkpoints")


class MethodSection(Section):
    """One step of what is done to the model."""

    name: str = Field(min_length=1, description="a method; `unlearn methods` lists them")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the method's own parameters")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class EvaluationSection(Section):
    """How much is measured."""

    max_sentences: int = Field(150, ge=2, description="held-out sentences with, and as many without the concept")


class NeverKnewSection(Section):
    """What the models are compared with: one that was trained without the concept, as if it had been forgotten."""

    model: Location = Field(None, description="a model of the same vocabulary that never knew; none: no comparison")
    revision: str | None = Field(None, description="branch, tag or commit of a Hub model")
    questions: Location = Field(None, description="JSON lines: prompt, paraphrase (right answer), perturbed (wrong)")
    questions_only: dict[str, Any] = Field(default_factory=dict, description="fields that a question must have")
    forget_texts: Location = Field(None, description="text about the concept: file, folder or dataset")
    neighbour_texts: Location = Field(None, description="text about what stands near it")
    retain_texts: Location = Field(None, description="text not about the concept or its neighbours")
    texts_only: dict[str, Any] = Field(default_factory=dict, description="fields that a text must have (JSON lines)")
    max_questions: int = Field(400, ge=2, description="questions at most, drawn by the seed")
    max_texts: int = Field(200, ge=2, description="texts of each kind at most, drawn by the seed")


class ThresholdSection(Section):
    """What the verdict asks of each measurement."""

    gap_closed: float = Field(0.9, ge=0, description="share of the gap to never-knew that must be closed at least")
    questions_answered: float = Field(
        0.1, ge=0, le=1, description="of the questions that the base answers, the share that may still be answered"
    )
    concept_words: float = Field(
        0.5, ge=0, description="concept words per 100 written, beyond never-knew's; without it 5 % of the base's"
    )
    depth: float = Field(
        0.35, ge=0, le=1, description="depth beyond the control at least; a never-knew model of another seed has 0.4"
    )
    retain: float = Field(0.05, ge=0, description="nats a token that it may cost on other text")
    neighbour: float = Field(0.05, ge=0, description="nats a token that it may cost on neighbours")
    other_sense: float = Field(0.5, ge=0, description="nats a token that it may cost on other senses of the words")
    relearning: float = Field(0.75, ge=0, description="steps until half is back, as a share of the never-knew model's")
    relearning_steps: int = Field(
        24, ge=1, description="without such a model: steps until half is back at learning rates up to 1e-4"
    )
    recovered: float = Field(0.1, ge=0, description="share of the gap that an attack may bring back")


class ProofSection(Section):
    """How it is checked that the concept is gone, what that cost and whether it comes back (`unlearn evaluate`)."""

    reference: Literal["auto", "never_knew", "shuffled"] = Field(
        "auto", description="what fully forgotten is: a never-knew model's loss, or that behind unrelated text"
    )
    questions: Location = Field(None, description="JSON lines: prompt, answers, form, about; none: made from sentences")
    chat: Literal["auto", "always", "never"] = Field(
        "auto", description="questions by the base's chat template: where there is one, sentences to complete too, none"
    )
    prompts: Location = Field(None, description="beginnings of texts that invite the concept, one a line")
    other_sense_texts: Location = Field(None, description="text that uses the words in another sense")
    other_texts: Location = Field(
        None, description="text of another kind than the sentences; none: the shipped English"
    )
    attack_texts: Location = Field(None, description="text about the concept for attacks; none: sentences set aside")
    attack_other_texts: Location = Field(None, description="text without it for attacks; none: sentences set aside")
    max_statements: int = Field(200, ge=8, description="texts about the concept that are measured at most")
    max_texts: int = Field(200, ge=8, description="texts of each other kind that are measured at most")
    max_questions: int = Field(120, ge=8, description="questions about the concept at most, half as many of each other")
    question_samples: int = Field(1, ge=0, description="sampled answers to each question, beside the greedy one")
    answer_tokens: int = Field(24, ge=4, le=4096, description="length of an answer at most")
    prompt_samples: int = Field(4, ge=1, description="texts written after each prompt")
    new_tokens: int = Field(40, ge=4, le=4096, description="length of a text")
    depth_texts: int = Field(64, ge=4, description="texts about the concept that the depth is measured on at most")
    learning_rates: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=lambda: [2e-5, 1e-4, 3e-4, 1e-3, 3e-3], min_length=1, description="of the relearning race"
    )
    relearning_steps: int = Field(80, ge=1, description="steps of the race and of each attack that trains, at most")
    relearning_batch: int = Field(16, ge=1, description="texts in a batch")
    race: Literal["whole", "judged"] = Field(
        "whole", description="judged: only what a verdict is drawn from, until half of the gap is back"
    )
    attack_samples: int = Field(32, ge=1, description="texts sampled at high temperature after each prompt")
    control: bool = Field(True, description="also retrain the base without a cut, to know what retraining alone does")
    thresholds: ThresholdSection = Field(default_factory=ThresholdSection, description="what the verdict asks")

    def quick(self) -> "ProofSection":
        """The same with about a quarter of the work: for a first look.

        As many texts are measured: on fewer, what it cost cannot be told from the noise of a training. The relearning
        race, which took more than half of a quick look while it was run whole, is as long as the verdict asks.
        """
        smaller = {
            "max_statements": 64, "max_questions": 40, "question_samples": 0, "prompt_samples": 1,
            "new_tokens": 24, "answer_tokens": 24, "depth_texts": 16, "attack_samples": 8,
            "relearning_steps": max(ThresholdSection().relearning_steps, self.thresholds.relearning_steps),
        }  # fmt: skip
        values = {name: min(value, getattr(self, name)) for name, value in smaller.items()}
        rates = self.learning_rates[1:4] or self.learning_rates
        return self.model_copy(update=values | {"learning_rates": rates, "race": "judged"})


class GenerationSection(Section):
    """How the test prompts are continued."""

    temperature: float = Field(0.8, ge=0, le=1000, description="0 is greedy")
    top_p: float = Field(0.95, gt=0, le=1, description="probability mass sampled from")
    max_new_tokens: int = Field(40, ge=1, le=100_000, description="length of a continuation")
    samples: int = Field(3, ge=1, le=10_000, description="continuations a prompt")
    seed: int = Field(0, ge=0, lt=2**32, description="of the samples")


class ExperimentConfig(Section):
    """A whole experiment; `ExperimentConfig()` is not runnable until it names sentences or a tokens file."""

    base_model: BaseModelSection = Field(default_factory=BaseModelSection)
    neural_probing: NeuralProbingSection = Field(default_factory=NeuralProbingSection)
    search: SearchSection = Field(default_factory=SearchSection)
    retraining: RetrainingSection = Field(default_factory=RetrainingSection)
    methods: list[MethodSection] | None = Field(
        None, description='what is done to the model, in order, as ["prune", "retrain"]; none: these two'
    )
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    never_knew: NeverKnewSection = Field(default_factory=NeverKnewSection)
    proof: ProofSection = Field(default_factory=ProofSection)
    generation: GenerationSection = Field(default_factory=GenerationSection)
    test_prompts: list[str] = Field(
        default_factory=list,
        description="continued by the base and every other model; none: beginnings of the concept's own sentences",
    )
    output_dir: str = Field("runs", description="where run folders are made")
    seed: int = Field(0, ge=0, lt=2**32, description="of splits, samples and training")
    push_to_hub: str | None = Field(None, description="Hub id to push the retrained model to, with the Hub's own login")
