"""The whole path on a mixture of experts: ranked, cut, retrained with the cut held, and read by stock transformers."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from tests.tiny_experiment import write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.runs.pipeline import create_run, execute


def test_experts_are_ranked_cut_and_stay_cut_and_the_files_name_them(tmp_path: Path) -> None:
    ranked = {"ranker": "mean_difference"}
    config = load_config(write_experiment(tmp_path, "qwen2_moe", neural_probing=ranked, retraining={"max_steps": 3}))
    run = create_run(config, tmp_path / "runs")
    execute(run)
    summary = {name: stage["summary"] for name, stage in run.status()["stages"].items()}
    assert all(" expert " in name for name in summary["rank"]["top"])
    assert summary["retrain"]["regrown"] == 0
    ranking = run.ranking()
    recipe = json.loads((run.folder / "recipe" / "recipe.json").read_text())
    assert recipe["ranking"]["experts"] == {"count": 4, "width": 12, "shared": 16}
    cut = ranking[ranking["rank"] < recipe["cut"]]
    assert set(cut["expert"].astype(str)) >= {"0", "1", "2", "3"}
    for state in ("pruned", "retrained"):
        model = AutoModelForCausalLM.from_pretrained(run.model(state))
        for row in cut.itertuples():
            mlp = model.model.layers[row.layer].mlp
            shared = row.expert == "shared"
            weight = mlp.shared_expert.down_proj.weight if shared else mlp.experts.down_proj[int(row.expert)]
            assert not weight[:, row.neuron].any()
        assert torch.isfinite(model(torch.arange(9)[None]).logits).all()
