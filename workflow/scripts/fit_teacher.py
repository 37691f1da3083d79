"""Rule fit_teacher: mean, deviation and principal axes of a teacher's features on a training side."""

import argparse
from pathlib import Path

from audiorig.config import TeacherConfig
from audiorig.config_stages import load_corpus
from audiorig.data.pretrained import verify
from audiorig.experiments.features import fit_teacher
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--pretrained", type=Path, required=True, help="folder of the teacher")
    parser.add_argument("--teacher", required=True, help="settings, as the folder's name writes them")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("fit_teacher", beside=arguments.output):
        _, root = load_corpus(arguments.corpus)
        verify(arguments.pretrained)  # before a single tensor is read
        settings = TeacherConfig.of_key(arguments.teacher)
        fit_teacher(arguments.split, root, arguments.pretrained, settings, arguments.output)


if __name__ == "__main__":
    main()
