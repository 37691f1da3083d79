"""What only the page of a tuned encoder shows: its targets, its answers, and what is behind them."""

from typing import Any

from audiorig.config import TuningRun
from audiorig.evaluate.answers_table import targets_of
from audiorig.report.answer_figures import answer_pictures, headline_dots
from audiorig.report.answers import target_scores
from audiorig.report.inputs import RunInputs
from audiorig.report.ladder import is_short, ladder_dots, ladder_tables, ladder_verdict
from audiorig.report.look_inside import attention_picture, map_picture, weight_change_picture
from audiorig.report.origins import run_facts
from audiorig.report.tuned_verdict import outcome_sentence
from audiorig.report.tuning_curves import tuning_curves

POOLED = {
    "mean": "mean",
    "max": "maximum",
    "sum": "sum",
    "attention": "attention-weighted mean",
    "mean_std": "mean and deviation",
}
HEADS = {"linear": "one linear layer", "mlp": "one hidden layer and one linear layer (MLP)"}


def content(inputs: RunInputs, run: TuningRun) -> dict[str, Any]:
    """By the names that ``tuned.html`` uses."""
    targets = targets_of(inputs.predictions)
    return {
        "facts": run_facts(inputs, facts(inputs, run)),
        "losses": tuning_curves(inputs.history, kept_step(inputs)),
        "outcome": outcome_sentence(inputs, run),
        "replaced": replaced(inputs),
        "headlines": headline_dots(inputs.scores, run, inputs.system),
        "targets": target_scores(inputs.scores, run, inputs.system, targets),
        "pictures": answer_pictures(own_answers(inputs), targets),
        "attention": attention_picture(inputs.inside, targets),
        "map": map_picture(inputs.inside, targets),
        "weight_change": weight_change_picture(inputs.inside),
        "ladders": ladder_tables(inputs.ladder),
        "ladder_dots": ladder_dots(inputs.ladder),
        "ladder_says": [] if is_short(inputs.ladder) else ladder_verdict(inputs.ladder),
    }


def own_answers(inputs: RunInputs) -> Any:
    """What the model itself answers on test."""
    rows = inputs.predictions
    return rows[(rows["system"] == inputs.system) & (rows["side"] == "test")]


def kept_step(inputs: RunInputs) -> int | None:
    """The step whose weights the run ended with, where it chose one."""
    found = [entry["weights_step"] for entry in inputs.history if entry.get("weights_step") is not None]
    return int(found[-1]) if found else None


def replaced(inputs: RunInputs) -> str:
    """How many clips could not be read while training."""
    counted = [entry["replaced_clips"] for entry in inputs.history if entry.get("replaced_clips") is not None]
    if not counted:
        return ""
    if not (number := int(counted[-1])):
        return "Every clip could be read while training."
    return (
        f"{number:,} clip{'' if number == 1 else 's'} could not be read while training; the next one stood in for "
        f"{'it' if number == 1 else 'each'}."
    )


def facts(inputs: RunInputs, run: TuningRun) -> dict[str, str]:
    """What was tuned, and how."""
    learning, parameters = inputs.training.get("num_learning"), inputs.training.get("num_parameters")
    share = f"; {learning:,} of {parameters:,} weights learn" if learning and parameters else ""
    return {
        **encoder_facts(inputs, run),
        "tuning": f"{tuning_in_words(run)}{share}",
        "pooling": f"{POOLED[run.pooling.kind]} of the frames of "
        + ("the last layer" if run.pooling.layers == "last" else "a learnt weighted sum of the layers"),
        "head": HEADS[run.head.kind] + (", one for each target" if run.head.separate else ""),
        "clips": f"at most {run.data.max_sec:g} s"
        + (f", brought to one level ({run.data.level})" if run.data.level != "as_is" else "")
        + (f", {100 * run.data.augment.share:.0f} % changed at random in training" if run.data.augment.share else ""),
    }


def encoder_facts(inputs: RunInputs, run: TuningRun) -> dict[str, str]:
    """What the training began with."""
    base = inputs.base
    name = str(base.get("name") or run.encoder.pretrained or run.encoder.run or run.encoder.folder)
    if base.get("seeded"):
        return {"encoder": f"{run.encoder.family}, {name}: random numbers in the published format"}
    if base.get("run"):
        return {"encoder": f"{run.encoder.family}, trained by this project's run {name}"}
    source = f" ({base['hub_id']}, revision {str(base.get('revision'))[:12]})" if base.get("hub_id") else ""
    return {"encoder": f"{run.encoder.family}, {name}{source}"}


def tuning_in_words(run: TuningRun) -> str:
    """E.g. "frozen encoder, adapters of rank 8, 16 prompts"."""
    tuning = run.tuning
    learns = {
        "nothing": "frozen encoder",
        "all": "the whole encoder learns",
        "layers": f"blocks {', '.join(map(str, tuning.layers))} learn",
        "last": f"the last {tuning.num_last} blocks learn",
        "half": "the upper half of the blocks learns",
        "all_but_last": "all blocks but the last learn",
    }
    parts = [learns[tuning.learn]]
    parts += [f"also {', '.join(tuning.modules)}"] if tuning.modules else []
    parts += ["what is before the blocks stays"] if tuning.freeze_front and tuning.learn != "nothing" else []
    parts += [f"adapters of rank {tuning.lora.rank}"] if tuning.lora.rank else []
    parts += [f"{tuning.num_prompts} learnt prompts"] if tuning.num_prompts else []
    parts += [f"encoder at {tuning.rate_scale:g} of the learning rate"] if tuning.rate_scale != 1 else []
    return ", ".join(parts)
