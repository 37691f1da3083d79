"""The rules on a corpus in object storage: listed, fetched, validated, divided; then again without the store."""

import logging
import os

import numpy as np
import pytest
import soundfile


@pytest.mark.slow
def test_from_a_bucket_to_a_split(new_checkout, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'audiorig[cloud]'")
    moto = pytest.importorskip("moto.server", reason="moto is not installed: make oracles")
    from moto.s3.models import s3_backends

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3_backends.reset()
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket("recordings", "us-east-1")
    for index in range(12):
        soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(index).standard_normal(8000), 16000)
        backend.put_object("recordings", f"clips/{index:02d}.wav", (tmp_path / "a.wav").read_bytes())
    table = "path,participant_id\n" + "".join(f"{index:02d}.wav,voice-{index // 2}\n" for index in range(12))
    backend.put_object("recordings", "clips/about.csv", table.encode())
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "canary-id",
        "AWS_SECRET_ACCESS_KEY": "canary-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
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
    folder = checkout.folder / "results" / "corpora" / "stored"
    targets = [
        f"results/corpora/stored/{name}" for name in ("validation/summary.json", "splits/by-voice/train.parquet")
    ]
    try:
        done = checkout.snakemake(targets[0], "--configfile", "cloud.yaml", **environment)
        assert done.returncode == 0, done.stdout[-5000:]
    finally:
        server.stop()
    done = checkout.snakemake(targets[1], "--configfile", "cloud.yaml", **environment)
    assert done.returncode == 0, done.stdout[-5000:]
    copies = sorted(path.name for path in (tmp_path / "cache" / "stored" / "objects").glob("*.wav"))
    assert copies == [f"{index:02d}.wav" for index in range(12)]
    for path in folder.rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes(), path
