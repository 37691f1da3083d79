"""How pages write numbers, differences and names."""

from collections.abc import Mapping, Sequence

from audiorig.evaluate.systems import RANDOM
from audiorig.report.scores import R2_UNIT, Estimate, Metric

CHANGE = {"above": "higher", "below": "lower", "uncertain": "not certain"}  # by the direction of a difference

SYSTEM_TITLES = {RANDOM: "untrained encoder", "homewav2vec2": "after adaptation"}


def share(value: float, digits: int = 3) -> str:
    """A number near 0 to 1 without its leading zero: .965, 1.000; below zero with a true minus."""
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) > 0 else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def points(value: float) -> str:
    """A difference of two shares, in percentage points with its sign: +31.9."""
    text = f"{abs(100 * value):.1f}"
    if float(text) == 0:
        return text
    return ("−" if value < 0 else "+") + text


def with_interval(estimate: Estimate | None, digits: int = 3) -> str:
    """.965 [.921, .990], or a dash."""
    if estimate is None:
        return "–"
    return f"{share(estimate.value, digits)} [{share(estimate.low, digits)}, {share(estimate.high, digits)}]"


def points_with_interval(estimate: Estimate | None) -> str:
    """+31.9 [+27.0, +36.1], or a dash."""
    if estimate is None:
        return "–"
    return f"{points(estimate.value)} [{points(estimate.low)}, {points(estimate.high)}]"


def points_in_words(estimate: Estimate) -> str:
    """+31.9 points [+27.0, +36.1]."""
    return f"{points(estimate.value)} points [{points(estimate.low)}, {points(estimate.high)}]"


def metric_text(estimate: Estimate | None, metric: Metric) -> str:
    """A value with its interval, as its metric is written: .610 [.580, .640]; 0.79 [0.59, 0.99] dB without the unit."""
    if estimate is None:
        return "–"
    value, low, high = (_number(each, metric) for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def difference_text(estimate: Estimate | None, metric: Metric) -> str:
    """A difference with its interval and signs, in the metric's own unit; of shares in points."""
    if estimate is None or not metric.unit:
        return points_with_interval(estimate)
    value, low, high = (_signed(each, metric) for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _number(value: float, metric: Metric) -> str:
    """Only what can hardly pass 1 goes without its leading zero."""
    if metric.unit in ("", R2_UNIT):
        return share(value, metric.digits)
    text = f"{abs(value):.{metric.digits}f}"
    return f"−{text}" if value < 0 and float(text) > 0 else text


def _signed(value: float, metric: Metric) -> str:
    text = _number(value, metric)
    return f"+{text}" if float(f"{value:.{metric.digits}f}") > 0 else text


def duration(seconds: float) -> str:
    """2.0 s, 4 min 12 s, 3 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def compared(differences: Mapping[str, Estimate]) -> list[str]:
    """Differences in words; one whose interval holds 0 is no finding."""
    clauses, uncertain = [], []
    for control, difference in differences.items():
        if difference.direction == "uncertain":
            uncertain.append(f"{control} ({points_in_words(difference)})")
        else:
            interval = f"[{points(difference.low)}, {points(difference.high)}]"
            clauses.append(f"{100 * abs(difference.value):.1f} points {difference.direction} {control} {interval}")
    return [*clauses, *([f"not certain to differ from {listed(uncertain)}"] if uncertain else [])]


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def system_title(system: str) -> str:
    """How a page calls a system."""
    return SYSTEM_TITLES.get(system, system)


def task_title(task: str) -> str:
    """voice-from-one-clip becomes Voice from one clip."""
    text = task.replace("-", " ").replace("_", " ")
    return text[:1].upper() + text[1:]
