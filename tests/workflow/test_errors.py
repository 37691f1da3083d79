"""Mistakes end before any job, in one plain sentence, without a traceback."""

import pytest

CASES = {
    "a typo in a setting": (
        ["--config", "wavemae={train: {learning_rte: 1}}"],
        "error: run 'wavemae': there is no setting 'train.learning_rte'; did you mean learning_rate?",
    ),
    "a value out of bounds": (
        ["--config", "wavemae={model: {mask_ratio: 1.5}}"],
        "error: run 'wavemae': model.mask_ratio: Input should be less than 1 (found '1.5')",
    ),
    "an unknown run as a target": (
        ["results/wavmae/final.ckpt"],
        "error: results/wavmae/: no run 'wavmae'; did you mean wavemae or wavemae-25min or wavemae-emilia?",
    ),
    "an unknown run to build": (
        ["--config", "build=[wavemea]"],
        "error: no run 'wavemea'; did you mean wavemae or wavemae-25min or wavemae-emilia?",
    ),
    "a corpus that is not there": (
        ["--config", "corpora={prompts: {root: /nowhere/at/all}}", "build=[wavemae-prompts]"],
        "error: corpus 'prompts': its root '/nowhere/at/all' is no folder; "
        "set corpora.prompts.root in your config file",
    ),
    "an unknown published model": (
        ["pretrained/w2v-brt/manifest.json"],
        "error: no pre-trained model 'w2v-brt'; did you mean w2v-bert or wav2vec2-base?",
    ),
    "an unknown teacher": (
        ["--config", "wavemae={teacher: {kind: w2v-bert, pretrained: w2v}}"],
        "error: run 'wavemae': teacher.pretrained is 'w2v': no entry of config/pretrained.yaml; did you mean w2v-bert?",
    ),
    "an unknown split": (
        ["--config", "wavemae={data: {split: by-moon}}"],
        "error: run 'wavemae': data.split is 'by-moon', but corpus 'demo' has by-voice",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_plain_sentence(checkout, case: str) -> None:
    arguments, sentence = CASES[case]
    done = checkout.snakemake("--dry-run", *arguments)
    assert done.returncode != 0
    assert sentence in done.stdout.splitlines()
    assert "Traceback" not in done.stdout
    assert not (checkout.folder / "results" / "wavemae").exists()


def test_an_unset_variable_is_named(checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIORIG_DATA", raising=False)
    done = checkout.snakemake("--dry-run", "results/wavemae-prompts/final.ckpt")
    assert "the variable AUDIORIG_DATA is not set" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_fresh_checkout_has_a_plan(checkout) -> None:
    jobs = checkout.planned("results/wavemae/final.ckpt")
    assert jobs == {
        "resolve": 3,
        "resolve_corpus": 1,
        "synthesize": 1,
        "manifest": 1,
        "validate": 1,
        "split": 1,
        "spectrum_statistics": 1,
        "plan_probe": 1,
        "measure_pitch": 2,
        "train": 1,
    }
