"""Where a model goes."""

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True)
class Destination:
    """A repository of the Hub.

    Attributes:
        repo_id: owner and name.
        private: whether only its owner is to see it.
        token: may write there.
        token_from: what to correct if the token is refused.
    """

    repo_id: str
    private: bool
    token: SecretStr
    token_from: str = "HF_TOKEN"
