"""What a run was made of."""

from audiorig.config import WaveMAERun
from audiorig.report.origins import code_table, settings_table, split_table, version_table


def test_settings_are_spelled_with_dots_and_written_plainly() -> None:
    run = WaveMAERun.model_validate({"experiment": "wavemae", "model": {"mask_ratio": 0.5}, "train": {"max_steps": 7}})
    table = settings_table(run)
    by_name = {name: (value, meaning) for name, value, meaning in table.rows}
    assert by_name["model.mask_ratio"][0] == "0.5"
    assert by_name["train.max_steps"][0] == "7"
    assert by_name["train.max_steps"][1] != ""
    assert by_name["report.notes"][0] == "–"


def test_sides_stand_in_the_order_of_their_use() -> None:
    side = {"num_groups": 1000, "num_files": 2, "hours": 0.125, "sha256": "b" * 64}
    table = split_table({"sides": {"test": side, "train": side}})
    assert [row[0] for row in table.rows] == ["train", "test"]
    assert table.rows[0][1:] == ("1,000", "2", "0.12", "b" * 16)


def test_code_that_no_commit_holds_is_counted() -> None:
    record = {"git_commit": "c" * 40, "git_changed_files": 3, "package_digest": "d" * 64}
    made, page = code_table({"train": record}, {}).rows
    assert made == ("train", "c" * 12, "3", "d" * 16)
    assert page == ("report (this page)", "not known", "", "")
    assert version_table({"python": "3.11.9", "versions": {"numpy": "2"}}).rows[0] == ("python", "3.11.9")


def test_sides_of_traces_say_how_many_songs_and_subjects_there_are() -> None:
    side = {"num_groups": 9, "num_songs": 10, "num_subjects": 7, "num_files": 40, "hours": 0.5, "sha256": "b" * 64}
    table = split_table({"sides": {"test": side}})
    assert table.headers == ("side", "groups", "songs", "subjects", "traces", "hours", "sha256")
    assert table.rows[0][:6] == ("test", "9", "10", "7", "40", "0.50")
    assert table.numeric == {1, 2, 3, 4, 5}
