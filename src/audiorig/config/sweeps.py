"""Several runs at once: seeds, and cases that differ in a few settings."""

from typing import Any

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section


class Case(Section):
    """One variant of the base run."""

    title: str = Field("", description="How tables call the case; its name if empty.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="What differs from the base, written as in a run's YAML."
    )


class AblationConfig(Section):
    """A file of config/ablations: one base run, a few cases, several seeds, one table."""

    title: str = Field("", description="Headline of the report.")
    achieves: str = Field("", description="What the comparison asks, and what it costs.")
    base: Name = Field(description="The run that all cases start from.")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="Seeds; every case is trained with each.")
    common: dict[str, Any] = Field(
        default_factory=dict, description="What all cases change, written as in a run's YAML."
    )
    reference: Name = Field(description="The case that the others are compared with.")
    cases: dict[Name, Case] = Field(min_length=1, description="Named cases.")

    @model_validator(mode="after")
    def _reference_is_a_case(self) -> "AblationConfig":
        if self.reference not in self.cases:
            raise ValueError(f"reference is {self.reference!r}: expected one of {', '.join(self.cases)}")
        return self
