"""What the scores of predicted traces say, in sentences, and what weakens them."""

from typing import Any

from audiorig.config import Audio2EdaRun
from audiorig.report.eda.tables import METRICS, R, in_words
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Estimate
from audiorig.report.wording import difference_text, listed, share

CONTROLS = {"template": "the time since onset alone", "ridge": "a ridge on lagged coefficients"}
NULLS = {"permuted-songs": "predictions of other songs", "shifted": "predictions shifted in time"}
FLAT = 0.5
UNLIKELY = 0.05
MOST_FILES = 5


def eda_verdict(inputs: RunInputs) -> list[str]:
    """A sentence or two for each dataset, then differences to other runs.

    E.g. "demo: r .71 [.65, .76] on 20 songs that were never heard; +0.21 r [...] above the time since onset alone; ..."
    """
    sentences = [sentence for task in inputs.scores.tasks for sentence in _of_dataset(inputs, task)]
    for each in inputs.beside:
        for task in inputs.scores.tasks:
            if difference := each.differences.get((task, R)):
                sentences.append(f"{task}: {_against(difference, f'run {each.name}')}.")
    return sentences


def _of_dataset(inputs: RunInputs, task: str) -> list[str]:
    scores, system = inputs.scores, inputs.system
    found = scores.get(task, system, R)
    if found is None:
        return []
    clauses = []
    for control, words in CONTROLS.items():
        if difference := scores.difference(task, system, control, R):
            clauses.append(_against(difference, words))
    first = f"{task}: {in_words(found)} over {found.num_groups} test songs; {'; '.join(clauses)}."
    values = {words: scores.get(task, name, R) for name, words in NULLS.items()}
    reached = [f"{words} reach {share(each.value)}" for words, each in values.items() if each]
    ceiling = scores.get(task, "ceiling", R)
    if ceiling:
        reached.append(f"listeners agree so far that about {share(ceiling.value)} could be reached")
    return [first, f"{task}: {listed(reached)}."] if reached else [first]


def _against(difference: Estimate, words: str) -> str:
    text = f"{difference_text(difference, METRICS[R])} r"
    match difference.direction:
        case "above":
            return f"above {words} ({text})"
        case "below":
            return f"below {words} ({text})"
    return f"not certain to differ from {words} ({text})"


def eda_warnings(inputs: RunInputs) -> list[str]:
    """What a reader must know: that r may be worth nothing, that predictions are flat, what split and data lack."""
    if not isinstance(inputs.run, Audio2EdaRun):
        return []
    found = []
    for task in inputs.scores.tasks:
        for name, words in NULLS.items():
            p = inputs.scores.get(task, inputs.system, f"p_{name.replace('-', '_')}")
            if p is not None and p.value > UNLIKELY:
                found.append(
                    f"{task}: {words} score as well in {share(p.value)} of the draws: r says nothing of the song."
                )
        ratio = inputs.scores.get(task, inputs.system, "sd_ratio")
        if ratio is not None and ratio.value < FLAT:
            found.append(
                f"{task}: predictions are flat, with {share(ratio.value, 2)} of the true deviation; errors look "
                "smaller than the shapes are alike."
            )
    quality = inputs.heard.quality
    if (lost := quality.get("num_traces", 0) - quality.get("num_kept", 0)) > 0:
        found.append(f"{lost:,} of {quality['num_traces']:,} traces are left out, by what was flagged in them.")
    if assumed := assumptions_of(inputs):
        found.append(f"Assumptions of {len(assumed)} kinds were made about the data; they are listed below.")
    return [*found, *(str(each) for kind in ("leaks", "notes") for each in inputs.split.get(kind, ()))]


def assumptions_of(inputs: RunInputs) -> list[dict[str, Any]]:
    """What was taken for granted when traces were read, and when features were made; shards add up."""
    found: dict[str, dict[str, Any]] = {}
    made = [record.get("assumptions") or [] for record in inputs.provenance.values()]
    for each in [each for some in (inputs.heard.assumptions, *made) for each in some]:
        known = found.setdefault(each["code"], {**each, "count": 0, "files": []})
        known["count"] += each["count"]
        known["files"] = [*known["files"], *each["files"]][:MOST_FILES]
    return list(found.values())
