"""What only the page of a run from music to skin conductance shows."""

from dataclasses import dataclass
from typing import Any

from audiorig.config import Audio2EdaRun, TraceChecksConfig
from audiorig.report.eda.figures import error_by_time, null_picture, traces_picture
from audiorig.report.eda.inputs import TRUE
from audiorig.report.eda.tables import (
    assumption_table,
    difference_table,
    excluded_table,
    missing_table,
    quality_table,
    score_table,
)
from audiorig.report.eda.verdict import assumptions_of
from audiorig.report.figures import Picture
from audiorig.report.inputs import RunInputs
from audiorig.report.origins import run_facts
from audiorig.report.tables import Table
from audiorig.report.tuned_page import kept_step
from audiorig.report.tuning_curves import curves_of

TARGETS = {"clean": "the filtered trace", "tonic": "its slow (tonic) part", "phasic": "its quick (phasic) part"}
NORMALIZED = {
    "trace_z": "each trace to mean 0 and deviation 1: the shape alone is predicted, not the level",
    "onset_delta": "change since the first two seconds, over the training side's deviation",
    "subject_z_train": "by the mean and deviation of the subject's own training traces",
    "none": "microsiemens",
}
CURVES = {
    "pearson": "r",
    "ccc": "CCC",
    "mse": "MSE",
    "mae": "MAE",
    "dtw": "DTW",
    "frechet": "Fréchet",
}


@dataclass(frozen=True)
class DatasetSection:
    """One dataset's scores as the page shows them."""

    title: str
    scores: Table
    differences: Table
    null: Picture | None


def content(inputs: RunInputs, run: Audio2EdaRun) -> dict[str, Any]:
    """By the names that ``audio2eda.html`` uses."""
    heard, system = inputs.heard, inputs.system
    songs = example_songs(inputs, run.score.examples)
    titles = [f"song {place}" for place in range(1, len(songs) + 1)] if inputs.corpus.private else songs
    return {
        "facts": run_facts(inputs, facts(inputs, run)),
        "losses": curves_of(
            inputs.history,
            {
                run.loss.part: f"loss ({run.loss.part})",
                **{name: CURVES[name] for name in (*run.monitor.dev, *run.monitor.train) if name != run.loss.part},
            },
            {},
            kept_step(inputs),
        ),
        "normalized": NORMALIZED[run.eda.normalize],
        "datasets": [
            DatasetSection(
                task,
                score_table(inputs.scores, task, system, "network"),
                difference_table(inputs.scores, task, system),
                null_picture(heard, inputs.scores, task, system),
            )
            for task in inputs.scores.tasks
        ],
        "traces": traces_picture(heard, songs, titles, system, run.frame_rate_hz),
        "errors": error_by_time(heard, system, run.frame_rate_hz),
        "quality": heard.quality,
        "flags": quality_table(heard, heard.quality.get("exclude", TraceChecksConfig().exclude)),
        "excluded": Table((), ()) if inputs.corpus.private else excluded_table(heard),
        "missing": Table((), ()) if inputs.corpus.private else missing_table(heard),
        "num_missing": len(heard.missing),
        "assumptions": assumption_table(assumptions_of(inputs), shows_files=not inputs.corpus.private),
    }


def example_songs(inputs: RunInputs, number: int) -> list[str]:
    """Test songs, spread over the list of them, so that no good ones are picked."""
    rows = inputs.heard.predictions
    if rows.empty:
        return []
    names = sorted(rows.loc[rows["system"] == TRUE, "song_id"].unique())
    step = max(1, len(names) // max(1, number))
    return [str(name) for name in names[::step][:number]]


def facts(inputs: RunInputs, run: Audio2EdaRun) -> dict[str, str]:
    """What is predicted of what, by which network."""
    about, model = inputs.training, run.model
    return {
        "predicted": f"{TARGETS[run.eda.target]}, {run.frame_rate_hz:g} steps a second",
        "normalised": NORMALIZED[run.eda.normalize],
        "features": f"{run.audio.num_mfcc} MFCC of {run.audio.num_mels} bands, {run.audio.frame_rate_hz:g} a second",
        "network": f"{model.encoder.kind} encoder, {model.decoder.kind} decoder, "
        + ("hears what was, not what comes" if model.causal else "hears what was and what comes")
        + (", with a learnt curve of the time since onset" if model.template else ""),
        "it hears": _reach(about.get("receptive_sec"), model.causal),
    }


def _reach(seconds: float | None, is_causal: bool) -> str:
    """How much of the song a step depends on."""
    if not is_causal:
        return "what was, and what comes"
    return f"{seconds:.1f} s back" if seconds else "all since the onset"
