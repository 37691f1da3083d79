"""Settings: every YAML is valid, a typo is named, and whatever is wrong ends in one plain sentence."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from audiorig.config import STAGES, FolderCorpus, HomeWav2Vec2Run, SplitConfig, WaveMAEModelConfig, WaveMAERun
from audiorig.config_checks import canonical_json
from audiorig.config_files import Settings
from audiorig.config_stages import corpus_root, load_corpus, load_run, run_name
from audiorig.config_targets import check_targets
from audiorig.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[1] / "config"
RUNS = sorted(path.stem for path in (CONFIG / "runs").glob("*.yaml"))
ABLATIONS = sorted(path.stem for path in (CONFIG / "ablations").glob("*.yaml"))
MADE = "ablation-made"
CORPORA = sorted(path.stem for path in (CONFIG / "corpora").glob("*.yaml"))


def settings(**config: Any) -> Settings:
    """The delivered config folder under a config file of these keys."""
    return Settings(config, CONFIG)


def wavemae(**sections: Any) -> WaveMAERun:
    return settings(wavemae=sections).run("wavemae")


def sentence(caught: pytest.ExceptionInfo[ConfigError]) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


# ------------------------------------------------------------------------ what is delivered


@pytest.mark.parametrize("name", RUNS)
def test_every_delivered_run_is_valid_and_says_what_it_should_achieve(name: str) -> None:
    run = settings().run(name)
    assert run.achieves
    assert set(STAGES) == {"data", "features", "train", "probe", "report"}


@pytest.mark.parametrize("name", CORPORA)
def test_every_delivered_corpus_is_valid_and_names_its_licence(name: str) -> None:
    corpus = settings().corpus(name)
    assert corpus.splits
    assert corpus.license != "unknown"


def test_the_delivered_config_file_builds_known_runs() -> None:
    given = yaml.safe_load((CONFIG / "config.yaml").read_text())
    assert set(Settings(given, CONFIG).build) <= set(RUNS)


# ------------------------------------------------------------------------ typos are named


@pytest.mark.parametrize(
    ("given", "found", "meant"),
    [
        ({"trian": {}}, "'trian'", "train"),
        ({"train": {"learning_rat": 1}}, "'train.learning_rat'", "learning_rate"),
        ({"model": {"mask_ration": 0.5}}, "'model.mask_ration'", "mask_ratio"),
        ({"probe": {"tasks": {"language": {"lable": "x"}}}}, "'probe.tasks.language.lable'", "label"),
        ({"probe": {"tasks": {"demo": {"label": "x", "shot": 2}}}}, "'probe.tasks.demo.shot'", "shots"),
    ],
)
def test_a_typo_in_a_run_is_named_with_what_was_meant(given: dict[str, Any], found: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        wavemae(**given)
    assert sentence(caught).startswith("run 'wavemae': ")
    assert found in sentence(caught)
    assert meant in sentence(caught).partition("did you mean")[2]


@pytest.mark.parametrize(
    ("given", "found", "meant"),
    [
        ({"langages": ["en", "de"]}, "'langages'", "languages"),
        ({"splits": {"by-voice": {"stratfy": "sex"}}}, "'splits.by-voice.stratfy'", "stratify"),
        ({"splits": {"demo": {"sede": 1}}}, "'splits.demo.sede'", "seed"),
        ({"validation": {"min_duration_s": 1}}, "'validation.min_duration_s'", "min_duration_sec"),
    ],
)
def test_a_typo_in_a_corpus_is_named_with_what_was_meant(given: dict[str, Any], found: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(corpora={"demo": given}).corpus("demo")
    assert sentence(caught).startswith("corpus 'demo': ")
    assert found in sentence(caught)
    assert meant in sentence(caught).partition("did you mean")[2]


def test_unknown_runs_and_corpora_are_named_with_what_was_meant() -> None:
    for call, meant in (
        (lambda: settings().run("wavmae"), "wavemae"),
        (lambda: settings().corpus("promts"), "prompts"),
        (lambda: settings(build=["smok"]), "smoke"),
        (lambda: settings(wavmae={"train": {}}), "wavemae"),
        (lambda: wavemae(data={"corpus": "dmeo"}), "demo"),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        assert meant in sentence(caught).partition("did you mean")[2]


def test_a_split_that_the_corpus_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match=r"data\.split is 'by-clip', but corpus 'demo' has by-voice"):
        wavemae(data={"split": "by-clip"})


# ------------------------------------------------------------------------ bounds


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"train": {"max_steps": 0}}, "train.max_steps"),
        ({"train": {"learning_rate": -1e-3}}, "train.learning_rate"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate"),
        ({"train": {"learning_rate": "fast"}}, "train.learning_rate"),
        ({"train": {"schedule": "cosin"}}, "train.schedule"),
        ({"train": 5}, "train"),
        ({"model": {"mask_ratio": 1}}, "model.mask_ratio"),
        ({"model": {"size": "tiny"}}, "model.size"),
        ({"model": {"kernel": 8}}, "kernel is 8: expected an odd number"),
        ({"model": {"min_span": 20}}, "min_span 20 is above max_span 16"),
        ({"spectrogram": {"hop": 2048}}, "expected hop <= window <= n_fft"),
        ({"data": {"sample_rate_hz": 100}}, "data.sample_rate_hz"),
        ({"data": {"corpus": "No Such Name"}}, "data.corpus"),
        ({"seed": -1}, "seed"),
        ({"probe": {"tasks": {"new": {}}}}, "probe.tasks.new.label"),
        (
            {"probe": {"tasks": {"new": {"label": "x", "assign": "values"}}}},
            "needs column, train_values and test_values",
        ),
        (
            {"probe": {"tasks": {"voice-across-languages": {"test_values": ["en"]}}}},
            "train_values and test_values share a value",
        ),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(given: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        wavemae(**given)
    assert where in sentence(caught)


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1)])
def test_shares_that_do_not_add_up_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        settings(corpora={"demo": {"splits": {"by-voice": {"shares": list(shares)}}}}).corpus("demo")


def test_a_run_of_no_known_experiment_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(mine={"extends": "homewav2vec2", "experiment": "wave2vec"}).run("mine")
    assert sentence(caught) == (
        "run 'mine': experiment is 'wave2vec': expected wavemae or homewav2vec2 or speechtune or infantcry or audio2eda"
    )


def test_a_key_of_another_experiment_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(mine={"extends": "homewav2vec2", "spectrogram": {"hop": 128}}).run("mine")
    assert "there is no setting 'spectrogram'; there are: achieves, data" in sentence(caught)


def test_a_home_run_takes_what_is_said_of_its_crops() -> None:
    run = settings(mine={"extends": "homewav2vec2", "data": {"silence": {"max_redraws": 3}}}).run("mine")
    assert isinstance(run, HomeWav2Vec2Run)
    assert run.data.silence.max_redraws == 3
    assert run.data.crop_sec == 8.0
    with pytest.raises(ConfigError, match="did you mean max_redraws"):
        settings(mine={"extends": "homewav2vec2", "data": {"silence": {"max_redraw": 3}}}).run("mine")


def test_a_corpus_of_no_known_kind_is_told_which_kinds_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(corpora={"mine": {"kind": "foldr", "root": "/"}}).corpus("mine")
    assert "foldr" in sentence(caught)
    assert "folder" in sentence(caught).partition("foldr")[2]


@pytest.mark.parametrize(
    "config",
    [
        {"build": 5},
        {"build": [5]},
        {"corpora": {"demo": 3}},
        {"corpora": ["demo"]},
        {"wavemae": 3},
        {"mine": {"extends": 5}},
        {"wavemae": {"model": {"size": ["mini"]}}},
    ],
    ids=str,
)
def test_values_of_the_wrong_shape_are_a_sentence_too(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        found = Settings(config, CONFIG)
        for name in found.corpus_names:
            found.corpus(name)
        for name in found.run_names:
            found.run(name)


def test_build_as_one_word_means_that_run_or_is_refused_as_a_word() -> None:
    try:
        assert settings(build="smoke").build == ["smoke"]
    except ConfigError as error:
        assert "'smoke'" in str(error)  # not "no run 's'"


# ------------------------------------------------------------------------ merging


def test_extends_states_only_what_differs() -> None:
    mine = settings(mine={"extends": "smoke", "train": {"batch_size": 3}}).run("mine")
    smoke = settings().run("smoke")
    assert mine.train.batch_size == 3
    assert mine.train.model_copy(update={"batch_size": smoke.train.batch_size}) == smoke.train
    assert mine.model == smoke.model
    assert set(mine.probe.tasks) == set(settings().run("wavemae").probe.tasks)


def test_a_config_file_changes_a_run_and_all_that_extend_it() -> None:
    changed = settings(wavemae={"train": {"weight_decay": 0.125}})
    assert changed.run("wavemae").train.weight_decay == 0.125
    assert changed.run("smoke").train.weight_decay == 0.125
    assert changed.run("smoke").train.max_steps == settings().run("smoke").train.max_steps


def test_null_takes_a_setting_away() -> None:
    run = wavemae(probe={"tasks": {"language": None}}, train={"max_steps": None})
    assert set(run.probe.tasks) == set(settings().run("wavemae").probe.tasks) - {"language"}
    assert run.train.max_steps == WaveMAERun(experiment="wavemae").train.max_steps


def test_null_takes_away_what_was_inherited() -> None:
    fewer = settings(mine={"extends": "wavemae", "probe": {"tasks": {"language": None}}}).run("mine")
    assert set(fewer.probe.tasks) == set(settings().run("wavemae").probe.tasks) - {"language"}
    slower = settings(mine={"extends": "smoke", "train": {"max_steps": None}}).run("mine")
    assert slower.train.max_steps == WaveMAERun(experiment="wavemae").train.max_steps


def test_null_in_a_run_file_takes_away_what_was_inherited(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "corpora").symlink_to(CONFIG / "corpora")
    (tmp_path / "runs" / "base.yaml").write_text("experiment: wavemae\ntrain: {max_steps: 5, batch_size: 3}\n")
    (tmp_path / "runs" / "mine.yaml").write_text("extends: base\ntrain: {max_steps: null}\n")
    run = Settings({}, tmp_path).run("mine")
    assert (run.train.max_steps, run.train.batch_size) == (WaveMAERun(experiment="wavemae").train.max_steps, 3)


def test_a_run_that_extends_itself_is_shown_with_its_cycle() -> None:
    with pytest.raises(ConfigError, match="'a' extends itself: a -> b -> a"):
        settings(a={"extends": "b"}, b={"extends": "a"}).run("a")


def test_a_run_that_extends_nothing_known_is_named() -> None:
    with pytest.raises(ConfigError, match="no run 'smok'; did you mean smoke"):
        settings(mine={"extends": "smok"}).run("mine")


def test_yaml_numbers_without_a_dot_become_numbers() -> None:
    given = yaml.safe_load("train: {learning_rate: 3e-4, weight_decay: 0}")
    assert given["train"]["learning_rate"] == "3e-4"  # what YAML 1.1 makes of it
    run = wavemae(**given)
    assert run.train.learning_rate == 3e-4
    assert isinstance(run.train.weight_decay, float)


def test_width_and_depth_follow_from_the_size_unless_given() -> None:
    assert (wavemae(model={"size": "base"}).model.width, wavemae(model={"size": "base"}).model.depth) == (768, 12)
    given = WaveMAEModelConfig.model_validate({"size": "large", "width": 64})
    assert (given.width, given.depth) == (64, 24)


# ------------------------------------------------------------------------ seeds and ablations

ABLATION = {
    "base": "smoke",
    "seeds": [3, 5],
    "common": {"train": {"max_steps": 7}, "probe": {"tasks": {"language": None}}},
    "reference": "plain",
    "cases": {"plain": {}, "dense": {"title": "a dense encoder", "settings": {"model": {"encoder_mode": "dense"}}}},
}


def ablation(**changes: Any) -> Settings:
    return settings(ablations={"made": {**ABLATION, **changes}})


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_delivered_ablation_is_valid_and_says_what_it_asks(name: str) -> None:
    sweep = settings().sweep(f"ablation-{name}")
    assert sweep.achieves
    assert len(sweep.runs) == len(sweep.cases) * len(sweep.seeds)
    changed = {canonical_json(settings().run(sweep.run(case, sweep.seeds[0])).stage("train")) for case in sweep.cases}
    assert len(changed) == len(sweep.cases)  # a case that changes nothing is a typo


def test_a_run_has_every_seed_and_is_otherwise_the_same() -> None:
    plain, seeded = settings().run("smoke"), settings(smoke={"seeds": [0, 3]}).run("smoke/seed-3")
    assert seeded == plain.model_copy(update={"seed": 3})


def test_an_ablation_case_is_the_base_with_what_all_change_and_what_it_changes() -> None:
    made = ablation()
    base, plain, dense = (made.run(name) for name in ("smoke", f"{MADE}/plain/seed-3", f"{MADE}/dense/seed-5"))
    assert (plain.seed, dense.seed, plain.train.max_steps) == (3, 5, 7)
    assert plain.train.model_copy(update={"max_steps": base.train.max_steps}) == base.train
    assert plain.model == base.model
    assert dense.model == base.model.model_copy(update={"encoder_mode": "dense"})
    assert set(plain.probe.tasks) == set(base.probe.tasks) - {"language"}  # null takes away here too
    assert dense.report.title == "made: a dense encoder, seed 5"


def test_a_sweep_lists_its_runs_case_by_case() -> None:
    sweep = ablation().sweep(MADE)
    assert sweep.runs == [f"{MADE}/{case}/seed-{seed}" for case in ("plain", "dense") for seed in (3, 5)]
    assert settings(smoke={"seeds": [1, 0]}).members("smoke") == ["smoke/seed-1", "smoke/seed-0"]
    assert settings().members("smoke") == ["smoke"]


def test_a_config_file_changes_an_ablation_and_null_takes_a_case_away() -> None:
    over = settings(ablations={"wavemae": {"seeds": [9], "cases": {"dense": None}}})
    sweep = over.sweep("ablation-wavemae")
    assert sweep.seeds == (9,)
    assert set(settings().sweep("ablation-wavemae").cases) - set(sweep.cases) == {"dense"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"cases": {"plain": {"settings": {"model": {"mask_ration": 1}}}}},
            "case 'plain': there is no setting 'model.",
        ),
        ({"cases": {"plain": {"setings": {}}}}, "there is no setting 'cases.plain.setings'; did you mean settings"),
        ({"common": {"train": {"max_steps": 0}}}, "case 'plain': train.max_steps"),
        ({"reference": "plane"}, "reference is 'plane': expected one of plain, dense"),
        ({"base": "smok"}, "base is 'smok': no such run; did you mean smoke"),
        ({"seeds": [1, 1]}, "seeds are 1, 1: each can stand there once"),
        ({"seeds": []}, "seeds"),
        ({"cases": {"plain": {"settings": {"seed": 3}}}}, "cases.plain holds 'seed'"),
        ({"common": {"extends": "wavemae"}}, "common holds 'extends'"),
        ({"cases": {"A case": {}}}, "cases.A case"),
        ({"cases": 5}, "cases"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_ablation_is_a_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ablation(**changes).sweep(MADE)
    assert sentence(caught).startswith("ablation 'made'")
    assert says in sentence(caught)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"ablations": 3}, "ablations"),
        ({"ablations": {"made": 3}}, "ablation 'made' is 3"),
        ({"smoke": {"seeds": [1, 1]}, "build": ["smoke"]}, "seeds are [1, 1]"),
        ({"ablation-x": {"extends": "smoke"}}, "names that begin with 'ablation-'"),
        ({"smoke": {"report": {"compare_with": "wavemea"}}, "build": ["smoke"]}, "did you mean wavemae"),
    ],
    ids=str,
)
def test_what_is_wrong_with_seeds_and_names_is_a_sentence(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(config, CONFIG)
    assert says in sentence(caught)


def test_the_pattern_takes_every_name_of_a_run_and_no_other() -> None:
    pattern = ablation().run_pattern
    for name in ("smoke", "smoke/seed-0", "wavemae/seed-12", f"{MADE}/dense/seed-7"):
        assert re.fullmatch(pattern, name), name
        ablation().run(name)
    for name in ("smok", "smoke/seed-03", "smoke/seed-", "smoke/x", MADE, f"{MADE}/dense", f"{MADE}/dens/seed-0"):
        assert not re.fullmatch(pattern, name), name


def test_what_rests_on_equal_settings_is_made_once() -> None:
    made = settings(
        ablations={
            "made": {**ABLATION, "cases": {**ABLATION["cases"], "long": {"settings": {"data": {"crop_frames": 64}}}}}
        }
    )
    assert made.standing_for("smoke/seed-4", "data") == "smoke"
    assert made.standing_for(f"{MADE}/dense/seed-5", "data") == "smoke"
    assert made.standing_for(f"{MADE}/dense/seed-5", "data", "probe") == f"{MADE}/plain/seed-3"
    assert made.standing_for(f"{MADE}/long/seed-5", "data") == f"{MADE}/long/seed-3"
    assert made.standing_for("wavemae", "data") == "wavemae"


def test_a_run_is_compared_with_the_same_seed_where_both_have_it() -> None:
    made = settings(smoke={"report": {"compare_with": "wavemae"}}, wavemae={"seeds": [0, 1]})
    assert made.compared_with("smoke") == "wavemae"
    assert made.compared_with("smoke/seed-1") == "wavemae/seed-1"
    assert made.compared_with("smoke/seed-2") == "wavemae"
    assert made.compared_with("wavemae") is None
    inherited = settings(wavemae={"report": {"compare_with": "smoke"}})
    assert inherited.compared_with("smoke") is None  # it extends wavemae


def test_the_comparison_has_every_seed_and_no_ablation() -> None:
    made = settings(smoke={"seeds": [0, 1]}, build=["smoke", "wavemae-emilia", "ablation-wavemae"])
    assert made.compared == ["smoke/seed-0", "smoke/seed-1", "wavemae-emilia"]


@pytest.mark.parametrize("name", ["wavemae", "wavemae/seed-3", "ablation-wavemae/dense/seed-0"])
def test_a_folder_of_results_tells_its_run(name: str) -> None:
    assert run_name(Path("/somewhere/results/of/results") / name) == name
    assert run_name(Path("results") / name) == name
    assert run_name(Path("elsewhere/tiny")) == "tiny"


# ------------------------------------------------------------------------ published models


def test_published_models_are_pinned_and_named(tmp_path: Path) -> None:
    for each in ("runs", "corpora"):
        (tmp_path / each).symlink_to(CONFIG / each)
    assert Settings({}, tmp_path).pretrained_names == []
    (tmp_path / "pretrained.yaml").write_text(f"w2v-bert: {{hub_id: some/model, revision: {'a' * 40}}}\n")
    found = Settings({}, tmp_path)
    assert found.pretrained_names == ["w2v-bert"]
    assert found.pretrained("w2v-bert").hub_id == "some/model"
    for name, given, says in (
        ("w2v-brt", {}, "no pre-trained model 'w2v-brt'; did you mean w2v-bert"),
        ("w2v-bert", {"revision": "main"}, "pre-trained model 'w2v-bert': revision"),
    ):
        with pytest.raises(ConfigError, match=says):
            Settings({"pretrained": {"w2v-bert": given}}, tmp_path).pretrained(name)


# ------------------------------------------------------------------------ stages


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"probe": {"bootstrap": 321}}, {"probe"}),
        ({"probe": {"tasks": {"language": None}}}, {"probe"}),
        ({"report": {"title": "other"}}, {"report"}),
        ({"achieves": "other"}, {"report"}),
        ({"train": {"max_steps": 7}}, {"train"}),
        ({"model": {"width": 64}}, {"train"}),
        ({"seed": 5}, {"train"}),
        ({"data": {"crop_frames": 64}}, {"data", "train"}),
        ({"spectrogram": {"hop": 128}}, {"data", "train"}),
    ],
    ids=str,
)
def test_a_change_reaches_only_the_stages_that_read_it(change: dict[str, Any], stages: set[str]) -> None:
    before, after = settings().run("wavemae"), wavemae(**change)
    assert {stage for stage in STAGES if before.stage(stage) != after.stage(stage)} == stages


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_plain_data_that_reads_back_as_itself(stage: str, tmp_path: Path) -> None:
    plain = settings().run("smoke").stage(stage)
    assert json.loads(canonical_json(plain)) == plain
    path = tmp_path / f"{stage}.yaml"
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    assert load_run(path).stage(stage) == plain


def test_canonical_json_is_one_text_for_equal_settings() -> None:
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'


# ------------------------------------------------------------------------ --set


@pytest.fixture
def train_yaml(tmp_path: Path) -> Path:
    path = tmp_path / "train.yaml"
    path.write_text("experiment: wavemae\ntrain: {max_steps: 9, batch_size: 2}\n")
    return path


def test_set_overrides_by_key_and_the_last_one_wins(train_yaml: Path) -> None:
    run = load_run(
        train_yaml,
        ["train.learning_rate=3e-4", "seed=3", "train.betas=[0.5, 0.9]", "report.title=a=b", "seed=4"],
    )
    assert run.train.learning_rate == 3e-4
    assert (run.train.max_steps, run.train.betas, run.seed, run.report.title) == (9, (0.5, 0.9), 4, "a=b")
    assert (
        load_run(train_yaml, ["train.max_steps=null"]).train.max_steps
        == WaveMAERun(experiment="wavemae").train.max_steps
    )


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.max_steps", "expected section.key=value"),
        ("train.max_stps=5", "did you mean max_steps"),
        ("train=5", "train"),
        ("train.max_steps=many", "train.max_steps"),
        ("train.betas=[0.5", "--set train.betas"),
    ],
)
def test_a_wrong_override_is_a_sentence(train_yaml: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_run(train_yaml, [override])
    assert says in sentence(caught)


@pytest.mark.parametrize("content", ["a: [1", "- 1\n- 2", "a: b: c", "5"])
def test_yaml_that_is_no_mapping_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load_run(path)


def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        load_run(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml"):
        load_run(tmp_path / "latin.yaml")


# ------------------------------------------------------------------------ roots and targets


def test_root_expands_variables_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "audio").mkdir()
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for root in ("${SOME_DATA}/audio", "$SOME_DATA/audio", "~/audio"):
        assert corpus_root("mine", FolderCorpus(kind="folder", root=root)) == tmp_path / "audio"


def test_an_unset_variable_or_a_missing_root_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_DATA", raising=False)
    with pytest.raises(ConfigError) as caught:
        corpus_root("mine", FolderCorpus(kind="folder", root="${NO_SUCH_DATA}/audio"))
    assert "export NO_SUCH_DATA=" in sentence(caught)
    assert "corpora.mine.root" in sentence(caught)
    with pytest.raises(ConfigError) as caught:
        corpus_root("mine", FolderCorpus(kind="folder", root=str(tmp_path / "absent")))
    assert str(tmp_path / "absent") in sentence(caught)
    assert "corpora.mine.root" in sentence(caught)


def test_a_corpus_is_checked_without_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIORIG_DATA", raising=False)
    assert settings().corpus("prompts").splits
    assert corpus_root("demo", settings().corpus("demo")) == Path("data/demo")


def test_a_written_corpus_reads_back_with_its_root(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "corpus.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(FolderCorpus(kind="folder", root=str(tmp_path)).model_dump(mode="json")))
    corpus, root = load_corpus(path)
    assert (corpus, root) == (FolderCorpus(kind="folder", root=str(tmp_path)), tmp_path)
    path.write_text("kind: demo\n")
    assert load_corpus(path)[1] == Path("data/mine")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-n", "--cores", "2"],
        ["results/report.html"],
        ["results/wavemae/final.ckpt", "-n"],
        ["./results/wavemae/report.html", "results/smoke/x"],
        ["results/corpora/demo/splits/by-voice/train.parquet"],
        ["-n", "--configfile", "results/foo/config/train.yaml"],  # a file, not a target
        ["results/smoke/seed-3/final.ckpt", "results/ablation-wavemae/report.html"],
        ["results/ablation-wavemae/dense/seed-7/metrics.json", "results/ablation-wavemae/logs/sweep.log"],
    ],
)
def test_targets_that_exist_pass(arguments: list[str]) -> None:
    check_targets(settings(build=["smoke"]), arguments)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("results/wavmae/final.ckpt", "results/wavmae/: no run 'wavmae'; did you mean wavemae"),
        ("results/ablation-wavmae/report.html", "results/ablation-wavmae/: no ablation 'wavmae'; did you mean wavemae"),
        ("results/ablation-wavemae/dens/seed-0/x", "ablation 'wavemae' has no case 'dens'; did you mean dense"),
        ("results/ablation-wavemae/dense/x", "which seed? E.g. results/ablation-wavemae/dense/seed-0/x"),
        ("results/ablation-wavemae/dense/sed-0/x", "dense/sed-0/: expected seed-0, seed-1 or another number"),
        ("results/smoke/seed-03/final.ckpt", "results/smoke/seed-03/: expected seed-0"),
        ("results/abalation-wavemae/report.html", "did you mean ablation-wavemae"),
        ("results/corpora/dmo/manifest.parquet", "no corpus 'dmo'; did you mean demo"),
        ("results/corpora/demo/splits/by-vioce/train.parquet", "corpus 'demo' has no split 'by-vioce'; did you mean"),
        ("results/corpora/prompts/manifest.parquet", "the variable AUDIORIG_DATA is not set"),
    ],
)
def test_targets_that_cannot_be_had_are_a_sentence(target: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIORIG_DATA", raising=False)
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check_targets(settings(), [target])


def test_what_is_built_must_be_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIORIG_DATA", raising=False)
    with pytest.raises(ConfigError, match="AUDIORIG_DATA"):
        check_targets(settings(build=["wavemae-prompts"]), ["results/report.html"])


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SplitConfig().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("train", [{"compile": True}, {"probe": {"every_steps": 10}}])
def test_settings_that_a_home_run_would_not_heed_are_refused(train: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="of wavemae: here"):
        settings(mine={"extends": "homewav2vec2", "train": train}).run("mine")
