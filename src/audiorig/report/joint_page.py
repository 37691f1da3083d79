"""Several runs on one page: which page it is, by their experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

from audiorig.config import Audio2EdaRun, Run, TuningRun
from audiorig.config.sweeps import Sweep
from audiorig.report.eda.sweep import build_eda_sweep
from audiorig.report.joined import Member
from audiorig.report.sweep import build_sweep
from audiorig.report.tuned_sweep import build_tuned_sweep


def build_joint_page(sweep: Sweep, run: Run, members: Sequence[Member], ladder: Mapping[str, Any] | None = None) -> str:
    """The HTML page of a run with several seeds, or of an ablation.

    Args:
        run: settings of the reference.
        members: all runs of the sweep.
        ladder: of a tuned run, itself beside its ladder.
    """
    if isinstance(run, TuningRun):
        return build_tuned_sweep(sweep, run, members, ladder)
    if isinstance(run, Audio2EdaRun):
        return build_eda_sweep(sweep, run, members)
    return build_sweep(sweep, run, members)
