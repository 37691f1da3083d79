"""What the scores of a tuned model say, in sentences."""

from audiorig.config import TargetConfig, TuningRun
from audiorig.report.answers import chance, headline, systems
from audiorig.report.inputs import RunInputs
from audiorig.report.ladder import ladder_verdict
from audiorig.report.scores import Scores
from audiorig.report.wording import difference_text, metric_text, share, task_title


def tuned_verdict(inputs: RunInputs, run: TuningRun, where: str) -> list[str]:
    """A sentence for each target, then one for what other splits would have promised."""
    found = [
        target_sentence(inputs.scores, inputs.system, name, target, where) for name, target in run.used_targets.items()
    ]
    return [sentence for sentence in [*found, *ladder_verdict(inputs.ladder)] if sentence]


def target_sentence(scores: Scores, system: str, name: str, target: TargetConfig, where: str) -> str:
    """E.g. "Reason on held-out participants: UAR .412 [.350, .470], luck .200; above log-mel (...)."."""
    metric, about = headline(target.kind)
    mine = scores.get(name, system, metric)
    if mine is None:
        return ""
    luck = chance(target, scores, name, system)
    doubt = "" if mine.low > luck else ", not certain to be above it"
    clauses = [f"{about.title} {metric_text(mine, about)}, luck {share(luck)}{doubt}"]
    for who in systems(scores, name, system)[1:]:
        difference = scores.difference(name, system, who, metric)
        if difference is not None and who not in ("majority", "permuted labels"):
            word = {"above": "above", "below": "below", "uncertain": "not certain to differ from"}[difference.direction]
            clauses.append(f"{word} {who} ({difference_text(difference, about)})")
    return f"{task_title(name)}{where}: {'; '.join(clauses)}."


def accuracy_note(inputs: RunInputs, run: TuningRun) -> list[str]:
    """That accuracy flatters where one class is most of the clips."""
    sentences = []
    for name, target in run.used_targets.items():
        majority = inputs.scores.get(name, "majority", "accuracy")
        if target.kind == "class" and majority is not None and majority.value >= 0.5:
            sentences.append(
                f"{task_title(name)}: always answering the commonest class has an accuracy of {share(majority.value)} "
                "and an unweighted recall of luck. Read the recall, not the accuracy."
            )
    return sentences
