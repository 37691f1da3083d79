"""Published cries: what their names say, and what is said of names that say nothing."""

import logging
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import soundfile

from audiorig.config import CriesCorpus, SplitConfig, ValidationConfig
from audiorig.config_files import Settings
from audiorig.config_stages import corpus_root
from audiorig.data.corpora import audio_extensions, cries, describe_clips
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.manifest import build_manifest, list_corpus, scan_corpus
from audiorig.data.split import group_ids, split_manifest
from audiorig.data.validate import validate_corpus
from audiorig.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
IOS = "0D1AD73E-4C5E-45F3-85C4-9A3CB71E8856"
ANDROID = "0c8f14a9-6999-485b-97a2-913c1cbf099c"


def corpus(root: Path, layout: str = "donateacry", **more: Any) -> CriesCorpus:
    return CriesCorpus(kind="cries", layout=layout, root=str(root), **more)


def clips(root: Path, *names: str, **more: Any) -> pd.DataFrame:
    """What is known of empty files of these names: it does not depend on what they hold."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    settings = corpus(root, **more)
    scan = scan_corpus(settings, root, list_corpus(settings, root), 1)
    return describe_clips(settings, root, scan).set_index("wav_path").sort_index()


# ------------------------------------------------------------------------ donateacry


def test_the_examples_of_its_readme(tmp_path: Path) -> None:
    ios, android = f"{IOS}-1430742197-1.0-m-04-hu.wav", f"{ANDROID}-1431028888092-1.7-f-26-sc.wav"
    rows = clips(tmp_path, f"hungry/{ios}", f"all/{android}")
    assert rows.loc[f"hungry/{ios}"].to_dict() == {
        "participant_id": IOS.lower(),
        "recording_id": f"hungry/{ios[:-4]}",
        "recorded_at": "2015-05-04T12:23:17.000Z",
        "gender": "male",
        "age": "0-4 weeks",
        "reason": "hungry",
        "folder": "hungry",
    }
    assert rows.loc[f"all/{android}"].to_dict() == {
        "participant_id": ANDROID,
        "recording_id": f"all/{android[:-4]}",
        "recorded_at": "2015-05-07T20:01:28.092Z",
        "gender": "female",
        "age": "2-6 months",
        "reason": "scared",
        "folder": "all",
    }


def test_an_installation_is_one_however_its_id_is_written(tmp_path: Path) -> None:
    rows = clips(
        tmp_path,
        f"hungry/{IOS}-1430742197-1.0-m-04-hu.wav",
        f"tired/{IOS.lower()}-1430742200123-1.7-m-04-ti.WAV",
        f"{IOS}-1430742300-1.10.2-m-04-dk.wav",
    )
    assert set(rows["participant_id"]) == {IOS.lower()}
    assert rows["reason"].tolist() == ["dont_know", "hungry", "tired"]
    assert rows["folder"].tolist() == ["", "hungry", "tired"]
    assert group_ids(rows.reset_index(), "participant").nunique() == 1


@pytest.mark.parametrize(("code", "reason"), cries.REASONS.items())
@pytest.mark.parametrize(("age_code", "age"), [("04", "0-4 weeks"), ("72", "7 months to 2 years")])
def test_every_tag_has_a_word(tmp_path: Path, code: str, reason: str, age_code: str, age: str) -> None:
    (row,) = clips(tmp_path, f"{IOS}-1430742197-1.0-f-{age_code}-{code}.wav").to_dict("records")
    assert (row["reason"], row["age"]) == (reason, age)


def test_the_name_says_the_reason_and_another_folder_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = f"discomfort/{IOS}-1430742197-1.0-m-04-ch.wav"
    with caplog.at_level(logging.INFO):
        row = clips(tmp_path, name, f"discomfort/{IOS}-1430742198-1.0-m-04-dc.wav").loc[name]
    assert (row["reason"], row["folder"]) == ("cold_hot", "discomfort")
    assert "1 clips lie in the folder of another reason (['cold_hot in discomfort'])" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "cry.wav",
        f"{IOS}.wav",
        f"{IOS[1:]}-1430742197-1.0-m-04-hu.wav",
        f"{IOS}-14307421970-1.0-m-04-hu.wav",
        f"{IOS}-1430742197-1.0-x-04-hu.wav",
        f"{IOS}-1430742197-1.0-m-05-hu.wav",
        f"{IOS}-1430742197-1.0-m-04-xx.wav",
        f"{IOS}-1430742197-1.0-m-04-hu (1).wav",
    ],
)
def test_a_name_that_says_nothing_keeps_its_row_and_is_told(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = clips(tmp_path, f"hungry/{name}", f"hungry/{ANDROID}-1431028888092-1.7-f-26-hu.wav")
    row = rows.loc[f"hungry/{name}"]
    assert row["participant_id"] == UNKNOWN
    assert row[["recorded_at", "gender", "age", "reason"]].tolist() == [""] * 4
    assert row["folder"] == "hungry"
    assert (
        f"1 of 2 names are not as in the layout donateacry and are of an unknown participant, e.g. hungry/{name}"
        in (caplog.text)
    )


def test_other_formats_are_listed_if_asked_for_and_hidden_copies_never(tmp_path: Path) -> None:
    stem = f"{IOS}-1430742197-1.0-m-04-hu"
    rows = clips(tmp_path, f"a/{stem}.wav", f"a/{stem}.flac", f"a/{stem}.3gp", f"__MACOSX/a/._{stem}.wav")
    assert rows.index.tolist() == [f"a/{stem}.flac", f"a/{stem}.wav"]
    assert audio_extensions(corpus(tmp_path, extensions=(".caf",))) == (".caf",)


# ------------------------------------------------------------------------ Baby Chillanto


def test_chillanto_fragments_of_a_recording_stay_together(tmp_path: Path) -> None:
    rows = clips(
        tmp_path,
        "1s_deaf/0025001010.wav",
        "1s_deaf/0025121010.wav",
        "1s_hunger/0004001001.wav",
        "pain/0001008002.wav",
        "other/0052001000.wav",
        layout="baby-chillanto",
    )
    assert rows["participant_id"].tolist() == ["0025", "0025", "0004", "0052", "0001"]
    assert rows["recording_id"].tolist() == ["0025", "0025", "0004", "0052", "0001"]
    assert rows["reason"].tolist() == ["deaf", "deaf", "hunger", "", "pain"]
    assert rows["folder"].tolist() == ["1s_deaf", "1s_deaf", "1s_hunger", "other", "pain"]


def test_chillanto_whole_recordings_are_the_same_seconds_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        rows = clips(
            tmp_path, "1s_normal/0052001000.wav", "FullNormal/0052.wav", "Full_pain/1.wav", layout="baby-chillanto"
        )
    assert rows.index.tolist() == ["1s_normal/0052001000.wav"]
    assert "2 files are whole recordings" in caplog.text


def test_chillanto_names_of_another_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("1s_pain/baby7_03.wav", "1s_pain/baby7_04.wav", "1s_pain/0001008002.wav")
    rows = clips(tmp_path, *names, layout="baby-chillanto", participant_pattern=r"^baby(?P<participant>\d+)_")
    assert rows["participant_id"].to_dict() == {names[0]: "7", names[1]: "7", names[2]: UNKNOWN}
    assert rows["recording_id"].to_dict() == {names[0]: "7", names[1]: "7", names[2]: names[2][:-4]}
    assert "1 of 3 names are not as in the layout baby-chillanto" in caplog.text
    with pytest.raises(ConfigError, match=r"corpora\.cries\.participant_pattern is 'baby': expected a group"):
        corpus_root("cries", corpus(tmp_path, participant_pattern="baby"))


# ------------------------------------------------------------------------ CryCeleb


def test_cryceleb_sessions_and_its_official_sides(tmp_path: Path) -> None:
    rows = clips(
        tmp_path,
        "audio/train/spk1/B/spk1_B_001.wav",
        "audio/train/spk1/D/spk1_D_001.wav",
        "audio/dev/spk7/B/spk7_B_012.wav",
        "audio/test/anonymous1/B/anonymous1_B_001.wav",
        "audio/stray.wav",
        layout="cryceleb",
    ).sort_values("participant_id")
    assert rows[["participant_id", "recording_id", "session", "side"]].to_numpy().tolist() == [
        ["anonymous1", "anonymous1_B", "birth", "test"],
        ["spk1", "spk1_B", "birth", "train"],
        ["spk1", "spk1_D", "discharge", "train"],
        ["spk7", "spk7_B", "birth", "dev"],
        [UNKNOWN, "audio/stray", "", ""],
    ]
    at_root = clips(tmp_path / "audio", layout="cryceleb")
    assert at_root.loc["train/spk1/D/spk1_D_001.wav", "session"] == "discharge"


# ------------------------------------------------------------------------ the delivered settings, and the real cries


def test_the_root_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIORIG_DATA", raising=False)
    delivered = Settings({}, ROOT / "config").corpus("donateacry")
    with pytest.raises(ConfigError, match="AUDIORIG_DATA is not set"):
        corpus_root("donateacry", delivered)
    monkeypatch.setenv("AUDIORIG_DATA", str(tmp_path))
    with pytest.raises(ConfigError, match="is no folder"):
        corpus_root("donateacry", delivered)
    (tmp_path / "donateacry").mkdir()
    assert corpus_root("donateacry", delivered) == tmp_path / "donateacry"


@pytest.fixture(scope="module")
def donated() -> tuple[CriesCorpus, Path, pd.DataFrame]:
    if "AUDIORIG_DATA" not in os.environ:
        pytest.skip("AUDIORIG_DATA is not set: no folder of real cries")
    settings = Settings({}, ROOT / "config").corpus("donateacry")
    assert isinstance(settings, CriesCorpus)
    root = corpus_root("donateacry", settings)
    return settings, root, build_manifest(settings, root)


@pytest.mark.realdata
def test_donated_cries_are_as_counted(donated: tuple[CriesCorpus, Path, pd.DataFrame]) -> None:
    _, _, rows = donated
    assert len(rows) == 457
    assert rows["participant_id"].nunique() == 221
    assert UNKNOWN not in set(rows["participant_id"])
    assert rows["folder"].value_counts().to_dict() == {
        "hungry": 382, "discomfort": 27, "tired": 24, "belly_pain": 16, "burping": 8,
    }  # fmt: skip
    assert rows["reason"].value_counts().to_dict() == {
        "hungry": 382, "tired": 24, "discomfort": 20, "belly_pain": 16, "burping": 8, "cold_hot": 7,
    }  # fmt: skip
    ids = rows.groupby("folder")["participant_id"].nunique().to_dict()
    assert ids == {"hungry": 205, "discomfort": 16, "tired": 16, "belly_pain": 7, "burping": 7}
    clips_of = rows["participant_id"].value_counts()
    assert (int((clips_of > 1).sum()), int(clips_of.max())) == (108, 13)
    assert rows["gender"].value_counts().to_dict() == {"male": 276, "female": 181}
    assert rows["recorded_at"].str[:4].unique().tolist() == ["2015"]


@pytest.mark.realdata
def test_no_donated_cry_is_left_out_and_none_is_there_twice(donated: tuple[CriesCorpus, Path, pd.DataFrame]) -> None:
    settings, root, rows = donated
    problems, _, _ = validate_corpus(rows, root, settings.validation)
    assert problems["reason"].tolist() == ["clipping"] * 3
    assert set(problems["severity"]) == {"warning"}
    faint, _, _ = validate_corpus(rows, root, ValidationConfig(near_silent_dbfs=-59.0))
    assert faint["reason"].value_counts().to_dict() == {"clipping": 3, "near_silent": 2}
    samples = {soundfile.read(root / path, dtype="int16")[0].tobytes() for path in rows["wav_path"]}
    assert len(samples) == 457


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(5))
def test_infants_are_on_one_side_and_clips_are_not(donated: tuple[CriesCorpus, Path, pd.DataFrame], seed: int) -> None:
    settings, root, rows = donated
    problems, _, _ = validate_corpus(rows, root, settings.validation)

    def seen(split: SplitConfig) -> int:
        sides = split_manifest(rows, problems, split.model_copy(update={"seed": seed}), "split")
        for part in sides.values():
            assert set(part["folder"]) == {"hungry", "discomfort", "tired", "belly_pain", "burping"}
        return len(set(sides["test"]["participant_id"]) & set(sides["train"]["participant_id"]))

    assert seen(settings.splits["by-infant"]) == 0
    assert seen(settings.splits["by-clip"]) > 30
