"""Rule teacher_features: a teacher's features of every file of a corpus' share, once."""

import argparse
from pathlib import Path

from audiorig.config import TeacherConfig
from audiorig.config_stages import load_corpus
from audiorig.data.pretrained import verify
from audiorig.experiments.features import teacher_features
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--statistics", type=Path, required=True, help="what fit_teacher wrote")
    parser.add_argument("--pretrained", type=Path, required=True, help="folder of the teacher")
    parser.add_argument("--teacher", required=True, help="settings, as the folder's name writes them")
    parser.add_argument("--shard", type=int, required=True, help="which share: 0 to num-shards - 1")
    parser.add_argument("--num-shards", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("teacher_features", beside=arguments.output):
        _, root = load_corpus(arguments.corpus)
        verify(arguments.pretrained)  # before a single tensor is read
        teacher_features(
            arguments.manifest,
            root,
            arguments.pretrained,
            TeacherConfig.of_key(arguments.teacher),
            arguments.statistics,
            arguments.shard,
            arguments.num_shards,
            arguments.output,
        )


if __name__ == "__main__":
    main()
