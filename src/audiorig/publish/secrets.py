"""What ``.env`` and the environment say about the Hub, and how a token stays out of all that is written.

A token goes from here to the one call that needs it, never into the environment of this process,
a command line or a file. ``hide_in_output`` takes it out of whatever a library logs, warns of or
raises all the same.
"""

import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr

from audiorig.errors import ConfigError

HIDDEN = "<hidden>"
SHORTEST = 8  # taking out a shorter "secret", TOKENIZERS_PARALLELISM=false say, would spoil every second line
TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}")  # also of one who put it on the wrong line
SIGNED = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]+")  # the Hub's storage signs its addresses in the query
IN_FILE = re.compile(r"TOKEN|KEY|SECRET|PASSW", re.IGNORECASE)
IN_ENVIRONMENT = re.compile(r"HF_TOKEN|HUGGING_FACE_HUB_TOKEN|WANDB_API_KEY")
REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
REPLACED = ("TRANSFORMERS_CACHE", "HF_DATASETS_CACHE")  # read by nothing any more

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Environment:
    """What is said about the Hub outside the project's settings; None where nothing is.

    Attributes:
        secrets: every value that must not be written, used or not.
        file: where ``.env`` lies.
        token_from: what to correct if the token is refused.
    """

    token: SecretStr | None
    repo_id: str | None
    private: bool | None
    home: str | None
    wandb_api_key: SecretStr | None
    secrets: tuple[SecretStr, ...]
    file: Path
    token_from: str


def read_environment(file: Path, variables: Mapping[str, str] | None = None) -> Environment:
    """HF_TOKEN, HF_REPO_ID, HF_PRIVATE, HF_HOME, WANDB_API_KEY: of the environment, else of a ``.env`` file.

    Values are never part of an error: whoever mixes up two lines would find the token in a log.

    Args:
        file: may be absent.
        variables: the environment, if not this process' own.

    Raises:
        ConfigError: if a value cannot be used.
    """
    variables = os.environ if variables is None else variables
    written = _read(file)
    given = {name: value.strip() for name, value in {**written, **_not_empty(variables)}.items()}
    private = given.get("HF_PRIVATE", "").lower()
    if private and private not in TRUE + FALSE:
        raise ConfigError(f"HF_PRIVATE, {_origin('HF_PRIVATE', variables, file)}: expected true or false")
    repo_id = given.get("HF_REPO_ID")
    if repo_id and (not REPO_ID.fullmatch(repo_id) or TOKEN.search(repo_id)):
        raise ConfigError(f"HF_REPO_ID, {_origin('HF_REPO_ID', variables, file)}: expected owner/name")
    named = [value for name, value in written.items() if IN_FILE.search(name)]
    named += [value for name, value in variables.items() if IN_ENVIRONMENT.fullmatch(name)]
    return Environment(
        token=_secret(given.get("HF_TOKEN")),
        repo_id=repo_id,
        private=private in TRUE if private else None,
        home=given.get("HF_HOME"),
        wandb_api_key=_secret(given.get("WANDB_API_KEY")),
        secrets=tuple(SecretStr(value.strip()) for value in named if len(value.strip()) >= SHORTEST),
        file=file,
        token_from=f"HF_TOKEN, {_origin('HF_TOKEN', variables, file)}",
    )


def set_up_library(environment: Environment) -> None:
    """Let huggingface_hub keep caches and logs where HF_HOME says, and tell nobody what it is used for.

    To be called before it is imported, which is when it reads these variables. The token is none of them.
    """
    if environment.home:
        os.environ.setdefault("HF_HOME", os.path.expanduser(environment.home))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def scrubbed(text: str, secrets: Iterable[SecretStr]) -> str:
    """A text without secrets, tokens of the Hub, and the signatures of addresses."""
    for secret in sorted((each.get_secret_value() for each in secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return SIGNED.sub(rf"\1?{HIDDEN}", TOKEN.sub(HIDDEN, text))


def hide_in_output(secrets: Iterable[SecretStr]) -> Callable[[], None]:
    """Take secrets out of every log record, warning and traceback of this process, whoever writes them.

    Records are changed where they are made, so that every handler is served, also those that
    libraries bring; a filter would have to be put on each.

    Returns:
        What ends it; a script never does, since Python prints the traceback last of all.
    """
    hidden = tuple(secrets)
    make = logging.getLogRecordFactory()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning

    def make_record(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # logging would print the arguments to stderr
            text = f"{record.msg} {record.args}"
        record.msg, record.args = scrubbed(text, hidden), ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = scrubbed("".join(traceback.format_exception(*record.exc_info)).rstrip(), hidden)
        return record

    def tell(kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        lines = traceback.format_exception(kind, error, trace) if kind else [str(error)]
        sys.stderr.write(scrubbed("".join(lines), hidden))

    def warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any) -> None:
        sys.stderr.write(scrubbed(warnings.formatwarning(message, category, filename, lineno), hidden))

    logging.setLogRecordFactory(make_record)
    sys.excepthook = tell
    threading.excepthook = lambda each: tell(each.exc_type, each.exc_value, each.exc_traceback)
    sys.unraisablehook = lambda each: tell(each.exc_type, each.exc_value, each.exc_traceback)
    warnings.showwarning = warn

    def undo() -> None:
        logging.setLogRecordFactory(make)
        sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning = hooks

    return undo


def _read(file: Path) -> dict[str, str]:
    """The variables that a ``.env`` file sets; what it says may refer to others as ${NAME}."""
    if not file.exists():
        return {}
    try:
        found = dotenv_values(file, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({type(error).__name__})") from None
    if os.name == "posix" and file.stat().st_mode & 0o077:
        log.warning("%s can be read by others on this machine: chmod 600 %s", file, file)
    for name in set(REPLACED).intersection(found):
        log.warning("%s: %s is read by nothing any more: HF_HOME says where caches lie", file, name)
    return _not_empty(found)


def _not_empty(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None and value.strip()}


def _secret(value: str | None) -> SecretStr | None:
    return SecretStr(value) if value else None


def _origin(name: str, variables: Mapping[str, str], file: Path) -> str:
    return "as the environment has it" if variables.get(name, "").strip() else f"in {file}"
