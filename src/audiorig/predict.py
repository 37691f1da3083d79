"""What a tuned model says of recordings: a line for each file and target.

    python -m audiorig.predict results/infantcry/bundle cry.wav more/*.wav
    python -m audiorig.predict results/infantcry/bundle cry.wav --csv > answers.csv

Files are read as the clips of dev and test were. One that cannot be read is named on stderr, the
others go on, and the exit code is 1.
"""

import argparse
import csv
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiorig.errors import DataError
from audiorig.models.bundle import Bundle, Prediction, load_bundle

HEADER = ("file", "target", "answer", "probabilities")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m audiorig.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, help="results/RUN/bundle")
    parser.add_argument("files", nargs="+", help="audio files")
    parser.add_argument("--csv", action="store_true", help="comma-separated values instead of a table")
    parser.add_argument("--encoder", type=Path, help="folder or file of the encoder's weights, if they lie elsewhere")
    options = parser.parse_args(arguments)
    failures: list[DataError] = []
    try:
        bundle = load_bundle(options.bundle, options.encoder)
        if options.csv:
            _write_csv(bundle, options.files, failures)
        else:
            _write_table(bundle, options.files, failures)
    except DataError as error:
        failures.append(error)
    for each in failures:
        sys.stderr.write(f"error: {each}\n")
    return 1 if failures else 0


def _answers(bundle: Bundle, files: Sequence[str], failures: list[DataError]) -> Iterator[tuple[str, str, Prediction]]:
    """File, target and answer; what went wrong with the other files is put into ``failures``."""
    for file in files:
        try:
            answers = bundle.predict_file(Path(file))
        except DataError as error:
            failures.append(error)
            continue
        for target, prediction in answers.items():
            yield file, target, prediction


def _write_csv(bundle: Bundle, files: Sequence[str], failures: list[DataError]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(HEADER)
    for file, target, prediction in _answers(bundle, files, failures):
        shares = ";".join(f"{answer}={share:.6f}" for answer, share in prediction.probabilities.items())
        writer.writerow([file, target, _text(prediction), shares])


def _write_table(bundle: Bundle, files: Sequence[str], failures: list[DataError]) -> None:
    answers = [answer for target in bundle.targets for answer in target.answers]
    columns = (files, [target.name for target in bundle.targets], answers)
    widths = [max(map(len, (name, *column))) for name, column in zip(HEADER, columns, strict=False)]

    def line(*cells: str) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        return f"{'  '.join([*padded, cells[-1]])}\n"

    sys.stdout.write(line(*HEADER))
    for file, target, prediction in _answers(bundle, files, failures):
        shares = "  ".join(f"{answer} {share:.2f}" for answer, share in prediction.probabilities.items())
        sys.stdout.write(line(file, target, _text(prediction), shares))
        sys.stdout.flush()


def _text(prediction: Prediction) -> str:
    return prediction.answer if isinstance(prediction.answer, str) else f"{prediction.answer:.2f}"


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a traceback
    sys.exit(main())
