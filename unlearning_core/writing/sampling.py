"""What a model says to a batch of requests, and how fluent a sentence is to the model itself."""

from typing import TYPE_CHECKING, Any

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.writing.writer import WriterSettings

SHORTEST_REPLY = 16
"""Tokens of a reply below which nothing whole can be expected."""


def sample(loaded: "LoadedModel", prompts: list[str], settings: "WriterSettings", seed: int) -> list[str]:
    """A reply to each request, or what follows each opening, sampled in one batch.

    Raises:
        InputError: the model's context has no room for a reply.
    """
    import torch

    from unlearning_core.evaluation.chat import has_chat_template

    tokenizer, model, chat = loaded.tokenizer, loaded.model, has_chat_template(loaded)
    if chat:
        prompts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
            for prompt in prompts
        ]
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not chat)
    inputs = inputs.to(model.device)
    new_tokens = _room(model, inputs["input_ids"].shape[1], settings.max_new_tokens)
    torch.manual_seed(seed)
    with torch.inference_mode():
        output = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=True,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=new_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
    return tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def _room(model: Any, prompt: int, wanted: int) -> int:
    """Tokens a reply may have after `prompt` tokens; raises InputError when a sentence does not fit in the context."""
    context = getattr(model.config, "max_position_embeddings", None) or prompt + wanted
    room = min(wanted, context - prompt)
    if room < SHORTEST_REPLY:
        raise InputError(
            f"This model reads {context} tokens and a request takes {prompt} of them, which leaves no room for a "
            "sentence. Take a model with a longer context, or give sentences of your own."
        )
    return room


def mean_nll(loaded: "LoadedModel", texts: list[str], batch_size: int = 16) -> list[float]:
    """Mean negative log-likelihood of each text under the model that wrote it, in nats a token, without its prompt."""
    import torch

    means: list[float] = []
    for start in range(0, len(texts), batch_size):
        inputs = loaded.tokenizer(
            texts[start : start + batch_size], return_tensors="pt", padding=True, padding_side="right"
        ).to(loaded.model.device)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        with torch.inference_mode():
            logits = loaded.model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
            nll = -logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        counted = mask[:, 1:]
        means += ((nll * counted).sum(1) / counted.sum(1).clamp(min=1)).tolist()
    return means
