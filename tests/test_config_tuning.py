"""Settings of tuned runs: targets and losses, splits for each seed, the ladder, the encoder they begin with."""

from pathlib import Path
from typing import Any

import pytest

from audiorig.config import TuningRun
from audiorig.config_files import Settings
from audiorig.config_targets import check_targets
from audiorig.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[1] / "config"
TUNED = {
    "extends": "speechtune",
    "targets": {"mood": {"kind": "class"}, "effort": {"kind": "rating", "steps": [1, 2, 3], "threshold": 2}},
    "losses": None,
}


def tuned(**sections: Any) -> TuningRun:
    run = Settings({"mine": {**TUNED, **sections}}, CONFIG).run("mine")
    assert isinstance(run, TuningRun)
    return run


def refused(**sections: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        tuned(**sections)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_kind_of_target_has_its_own_loss_unless_terms_are_given() -> None:
    run = tuned(use=["mood", "effort"])
    assert {(loss.name, loss.targets) for loss in run.used_losses} == {
        ("cross_entropy", ("mood",)),
        ("coral", ("effort",)),
    }


def test_groups_stand_for_their_targets() -> None:
    run = tuned(groups={"voice": ["is_fast", "is_high"]}, use=["voice"])
    assert list(run.used_targets) == ["is_fast", "is_high"]
    assert [(loss.name, loss.targets) for loss in run.used_losses] == [("bce", ("is_fast", "is_high"))]


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"losses": [{"name": "focal"}]}, "expected|should be 'cross_entropy', 'bce', 'coral' or 'ranking'"),
        ({"losses": [{"name": "bce", "targets": ["mood"]}]}, "bce is not for target 'mood', a class"),
        ({"losses": [{"name": "bce"}], "use": ["mood"]}, "no term is about target 'mood'"),
        ({"targets": {"effort": {"threshold": None}}}, "targets.effort: a rating needs its threshold"),
        ({"targets": {"effort": {"threshold": 9}}}, "threshold is 9: expected above 1 and at most 5"),
        ({"use": ["efort"]}, "there is no target or group 'efort'"),
        ({"tuning": {"learn": "last"}}, "learn: last and num_last go together"),
        (
            {"train": {"selection": {"metric": "uar_moood"}}},
            "dev gives no 'uar_moood'; take one of total, ",
        ),
        ({"train": {"selection": {"metric": "total"}}}, "mode is max, and of total less is better: set mode: min"),
        ({"train": {"selection": {"metric": "recall_mood_glad", "mode": "min"}}}, "more is better: set mode: max"),
        ({"use": ["effort"]}, "dev gives no 'uar'; take one of total, coral, mae_effort, accuracy_effort"),
        ({"tuning": {"lora": {"targets": ["q_proj"]}}}, "rank: 0 makes none"),
        ({"head": {"kind": "linear", "hidden": 64}}, "a linear head has no such layer"),
        ({"losses": [{"name": "coral", "margin": 0.5}], "use": ["effort"]}, "margin is of ranking, and this is coral"),
        ({"encoder": {"run": "wavemae"}}, "expected one of pretrained, run and folder"),
        ({"encoder": {"family": "hubert"}}, "encoder.family is hubert, but 'tiny-whisper' is a whisper"),
        ({"encoder": {"pretrained": None, "run": "wavemae"}}, "but 'wavemae' is a wavemae"),
        ({"encoder": {"pretrained": None, "run": "infantcry"}}, "expected one of wavemae or homewav2vec2"),
        ({"data": {"split": "by-voices"}}, "data.split is 'by-voices'"),
        ({"probe": {"tasks": {"x": {"label": "y"}}}}, "here `targets` are scored"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(sections: dict[str, Any], told: str) -> None:
    assert any(each in refused(**sections) for each in told.split("|"))


def test_a_seed_can_have_a_split_of_its_own() -> None:
    settings = Settings({"mine": {**TUNED, "data": {"split_per_seed": True}}}, CONFIG)
    first, second = (settings.run(f"mine/seed-{seed}").data for seed in (3, 4))
    assert (first.split, second.split) == ("by-voice.seed-3", "by-voice.seed-4")
    assert settings.split(first.corpus, first.split).seed == 3
    with pytest.raises(ConfigError, match=r"has no split 'by-voices\.seed-3'"):
        settings.split(first.corpus, "by-voices.seed-3")


def test_a_ladder_is_the_same_run_with_other_settings() -> None:
    settings = Settings({"infantcry": {"seeds": [1, 2]}}, CONFIG)
    ladder = settings.ladder("infantcry")
    assert ladder["infantcry"] == {1: "infantcry/seed-1", 2: "infantcry/seed-2"}
    assert ladder["by-clip"] == {seed: f"infantcry/ladder/by-clip/seed-{seed}" for seed in (1, 2)}
    rung, itself = settings.run("infantcry/ladder/by-clip/seed-2"), settings.run("infantcry/seed-2")
    assert isinstance(rung, TuningRun)
    assert (rung.seed, rung.data.split, rung.ladder) == (2, "by-clip", {})
    assert rung.model_copy(update={"data": itself.data, "report": itself.report}) == itself
    assert settings.ladder("infantcry/seed-1") == {}
    assert settings.ladder("wavemae") == {}


def test_of_one_seed_the_run_itself_is_the_first_rung() -> None:
    ladder = Settings({}, CONFIG).ladder("infantcry")
    assert ladder["infantcry"] == {0: "infantcry"}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("results/infantcry/ladder/by-clp/seed-0/final.ckpt", "has no such case; did you mean by-clip"),
        ("results/infantcry/ladder/by-clip/final.ckpt", "which seed?"),
        ("results/speechtune/ladder/by-clip/seed-0/final.ckpt", "it has no ladder"),
    ],
)
def test_a_rung_that_is_not_there_is_told(target: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("?", r"\?")):
        check_targets(Settings({}, CONFIG), [target])


def test_every_name_of_a_run_matches_its_pattern() -> None:
    import re

    pattern = re.compile(Settings({}, CONFIG).run_pattern)
    for name in ("infantcry", "infantcry/seed-7", "infantcry/ladder/by-clip/seed-0"):
        assert pattern.fullmatch(name)
    for name in ("infantcry/ladder/by-clip", "infantcry/ladder/by-night/seed-0", "speechtune/ladder/by-clip/seed-0"):
        assert not pattern.fullmatch(name)
