"""Logging to Weights & Biases: the numbers of the log and the run's settings, and nothing else.

Not sent: code, commits, console, packages, host, user, load of the machine, audio, reports of
errors. The library is imported only if it is to be used. It takes nothing from the random state,
so a run with it ends in the same weights as one without.
"""

import importlib.util
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import LogConfig
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.errors import ConfigError
from audiorig.files import MACHINE_PATH, read_json, write_json
from audiorig.train.callbacks import is_between, scalars

KEY = "WANDB_API_KEY"
ID_FILE = "wandb.json"  # in checkpoints/, which is set aside when a run begins anew
# What is not sent in time lies in results/{run}/wandb.
QUIET: dict[str, Any] = {"silent": True, "init_timeout": 60.0, "finish_timeout": 300.0, "use_dot_wandb": False}
NOT_SENT: dict[str, Any] = {
    **{"console": "off", "disable_code": True, "save_code": False, "disable_git": True, "disable_job_creation": True},
    **{"label_disable": True, "x_disable_meta": True, "x_disable_machine_info": True, "x_disable_stats": True},
    **{"x_save_requirements": False, "x_stats_self_usage": False, "host": "", "username": "", "email": ""},
}

logger = logging.getLogger(__name__)


def require_wandb(log: LogConfig, key: SecretStr | None = None) -> None:
    """Check that what is asked for can be done, before any data is read.

    Args:
        key: as .env has it; one in the environment does as well.

    Raises:
        ConfigError: if the library is missing, or the key to send with.
    """
    mode = log.wandb.mode
    if mode == "disabled":
        return
    found = importlib.util.find_spec("wandb")
    if found is None or found.origin is None:  # a folder of this name, of earlier logs, is no library
        raise ConfigError(
            f"log.wandb.mode is {mode}, and the package wandb is not installed: run `make setup`, "
            "or `pip install wandb`, or set log.wandb.mode: disabled"
        )
    if mode == "online" and key is None and not os.environ.get(KEY, "").strip():
        raise ConfigError(
            f"log.wandb.mode is online, and {KEY} is neither in the environment nor in .env; set it, "
            "or set log.wandb.mode: offline and send the run later"
        )


class WandbLog(TrainerCallback):
    """Every entry of the log as a step of a run at Weights & Biases.

    A resumed run goes on in the same one: its id lies beside the checkpoints. Steps that come again
    are known there already, and equal. If the service cannot be reached, the run is written as in
    mode offline; a tracker ends no training.

    Args:
        log: the settings.
        folder: the run's folder; ``wandb/`` is written into it.
        name: of the run, if the settings give none.
        run_settings: what is sent along, with paths of this machine taken out; None for nothing.
        key: as .env has it.
    """

    def __init__(
        self,
        log: LogConfig,
        folder: Path,
        name: str,
        run_settings: Mapping[str, Any] | None = None,
        key: SecretStr | None = None,
    ) -> None:
        self._log, self._folder, self._name, self._key = log, folder, name, key
        self._settings = without_names(run_settings, None) if run_settings is not None and log.settings else None
        self._run: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if state.is_world_process_zero:
            self._run = self._begin()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **other: Any,
    ) -> None:
        if self._run is None or is_between(logs or {}, state.global_step, self._log.every_steps):
            return
        try:
            self._run.log(scalars(logs or {}), step=state.global_step)
        except Exception as error:  # whatever it is: days of training must not end for it
            logger.warning("wandb has failed (%s): nothing more is logged there", type(error).__name__)
            self._run = None

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        self.close()

    def close(self, exit_code: int = 0) -> None:
        """Send what is left and end; also after an error."""
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:
            logger.warning("wandb has failed at its end (%s); `wandb sync` can send the run", type(error).__name__)

    def _begin(self) -> Any:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read at import: errors are told nobody
        import wandb

        wanted = self._log.wandb
        options: dict[str, Any] = {
            **{"project": wanted.project, "entity": wanted.entity, "name": wanted.name or self._name},
            **{"tags": list(wanted.tags), "dir": str(self._folder), "config": self._settings},
            **{"id": self._id(), "resume": "allow"},
        }
        key = self._key.get_secret_value() if self._key else None
        settings = wandb.Settings(**QUIET, **NOT_SENT, api_key=key)
        with _own_hooks():
            if wanted.mode == "online":
                try:
                    return wandb.init(mode="online", settings=settings, **options)
                except wandb.errors.AuthenticationError:
                    raise ConfigError(f"log.wandb.mode: online: {KEY} is refused; correct it, or log offline") from None
                except wandb.errors.Error as error:
                    logger.warning("wandb cannot be reached (%s): logging offline instead", type(error).__name__)
                    wandb.teardown()  # or the id would still be in use
            return wandb.init(mode="offline", settings=settings, **options)

    def _id(self) -> str:
        """The run's id there: drawn once, and not from any random state of the training."""
        path = self._folder / "checkpoints" / ID_FILE
        if not path.exists():
            write_json(path, {"id": secrets.token_hex(8)})
        return str(read_json(path)["id"])


def without_names(settings: Any, pseudonyms: CorpusPseudonyms | None) -> Any:
    """Settings without paths of this machine in their texts, and without participants and files of a private corpus.

    Values that rows are chosen by, say, may name a participant.
    """
    match settings:
        case str():
            return pseudonyms.scrubbed(settings) if pseudonyms else MACHINE_PATH.sub("a folder", settings)
        case Mapping():
            return {name: without_names(value, pseudonyms) for name, value in settings.items()}
        case list() | tuple():
            return [without_names(value, pseudonyms) for value in settings]
    return settings


@contextmanager
def _own_hooks() -> Iterator[None]:
    """Keep what ends this process and prints its tracebacks: the library's own prints them twice, secrets too."""
    before = sys.exit, sys.excepthook
    try:
        yield
    finally:
        sys.exit, sys.excepthook = before
