"""The rules on a corpus in object storage: listed, fetched, validated, divided; then again without the store."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiorig.config import DemoEdaCorpus
from audiorig.data.corpora import demo_eda


class Bucket:
    """A bucket of a server on this machine, and what a process must know to read it."""

    def __init__(self, name: str) -> None:
        moto = pytest.importorskip("moto.server", reason="moto is not installed: make oracles")
        from moto.s3.models import s3_backends

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        s3_backends.reset()
        self.name = name
        self.backend = s3_backends["123456789012"]["aws"]
        self.backend.create_bucket(name, "us-east-1")
        self.server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "canary-id",
            "AWS_SECRET_ACCESS_KEY": "canary-key",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def put(self, name: str, content: bytes) -> None:
        self.backend.put_object(self.name, name, content)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'audiorig[cloud]'")
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    made = Bucket("recordings")
    yield made
    made.server.stop()  # once more does no harm


def no_canary_in(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path


@pytest.mark.slow
def test_from_a_bucket_to_a_split(new_checkout, bucket: Bucket, tmp_path: Path) -> None:
    for index in range(12):
        soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(index).standard_normal(8000), 16000)
        bucket.put(f"clips/{index:02d}.wav", (tmp_path / "a.wav").read_bytes())
    table = "path,participant_id\n" + "".join(f"{index:02d}.wav,voice-{index // 2}\n" for index in range(12))
    bucket.put("clips/about.csv", table.encode())
    checkout = new_checkout("cloud")
    corpus = {
        "kind": "folder",
        "root": "s3://recordings/clips",
        "metadata": "about.csv",
        "cache_root": str(tmp_path / "cache"),
        "manifest": {"num_shards": 2},
        "splits": {"by-voice": {"group": "participant", "shares": [0.5, 0.25, 0.25], "min_groups": 1}},
    }
    checkout.configure("cloud.yaml", {"corpora": {"stored": corpus}})
    targets = [
        f"results/corpora/stored/{name}" for name in ("validation/summary.json", "splits/by-voice/train.parquet")
    ]
    done = checkout.snakemake(targets[0], "--configfile", "cloud.yaml", **bucket.environment)
    assert done.returncode == 0, done.stdout[-5000:]
    bucket.server.stop()
    done = checkout.snakemake(targets[1], "--configfile", "cloud.yaml", **bucket.environment)
    assert done.returncode == 0, done.stdout[-5000:]
    copies = sorted(path.name for path in (tmp_path / "cache" / "stored" / "objects").glob("*.wav"))
    assert copies == [f"{index:02d}.wav" for index in range(12)]
    no_canary_in(checkout.folder / "results" / "corpora" / "stored")


@pytest.mark.slow
def test_listeners_in_a_bucket_are_learnt_from_without_it(new_checkout, bucket: Bucket, tmp_path: Path) -> None:
    """Songs and traces are fetched by the stages before; what trains and scores asks for nothing."""
    small = {"num_songs": 14, "num_subjects": 8, "listeners_per_song": 3, "duration_sec": 14.0, "defects": False}
    demo_eda.synthesize(DemoEdaCorpus.model_validate({"kind": "demo-eda", **small}), tmp_path / "made", 1)
    for path in sorted((tmp_path / "made").rglob("*")):
        if path.is_file():
            bucket.put(f"all data/PMEmo2019/{path.relative_to(tmp_path / 'made').as_posix()}", path.read_bytes())
    corpus = {
        "kind": "listeners",
        "root": "s3://recordings/all data",
        "cache_root": str(tmp_path / "cache"),
        "datasets": {"mine": {"layout": "pmemo2019", "folder": "PMEmo2019"}},
        "splits": {"by-song": {"group": "song", "shares": [0.6, 0.2, 0.2], "min_groups": 2}},
    }
    run = {
        "extends": "audio2eda",
        "data": {"corpus": "stored"},
        "audio": {"sample_rate_hz": 16000, "window": 640, "hop": 160, "num_mels": 32, "num_mfcc": 13, "num_shards": 1},
        "model": {"encoder": {"width": 8, "skip_width": 8, "dilations": 3, "stacks": 1}, "decoder": {"width": 8}},
        "train": {"max_steps": 6, "batch_size": 4, "eval_steps": 3, "save_steps": 3, "cpu_threads": 1},
        "score": {"permutations": 50, "bootstrap": 100},
    }
    checkout = new_checkout("cloud-listeners")
    checkout.configure("cloud.yaml", {"build": ["heard"], "corpora": {"stored": corpus}, "heard": run})
    before = "results/heard/baselines/predictions.parquet"
    done = checkout.snakemake("--configfile", "cloud.yaml", "--", before, **bucket.environment)
    assert done.returncode == 0, done.stdout[-5000:]
    bucket.server.stop()
    done = checkout.snakemake("--configfile", "cloud.yaml", "--", "results/heard/report.html", **bucket.environment)
    assert done.returncode == 0, done.stdout[-5000:]
    assert len(list((tmp_path / "cache").rglob("*.wav"))) == 14
    no_canary_in(checkout.folder / "results")
