"""The section `data` of a recipe: the files that are read, and how they are split."""

import re
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from pipeline.recipe.field_types import FileAddress, FilePattern, SpanWindow
from pipeline.recipe.sections import Section
from trainer.data.yt8m import MIN_EVAL_VIDEOS, NUM_CLASSES, TOP_K

_SPAN = re.compile(r"\{(SPAN(:\d+)?|YYYY)\}")
"""What stands in a pattern for the number of a span, or for the year of its date."""


class DataSection(Section):
    """The files that are read, and how they are split (paper, section 1.1)."""

    train: tuple[FilePattern, ...] = Field(
        (), description="Patterns of files that are all trained on; {SPAN} allowed."
    )
    validate_: tuple[FilePattern, ...] = Field(
        (),
        alias="validate",
        description="Patterns of files of which some are the eval split and the others are trained on.",
    )
    eval_files: int = Field(60, ge=1, description="Number of validate files that become the eval split.")
    eval_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Largest share of the validate files that becomes the eval split, for small data sets.",
    )
    holdout_files: Annotated[int, Field(ge=0)] | tuple[FilePattern, ...] = Field(
        0,
        description="Number of validate files that become the holdout, at most eval_share of them, or "
        "patterns of the holdout's files. Nothing is trained or chosen on the holdout, so its GAP "
        "is what to expect on other videos; it decides the blessing.",
    )
    seed: int = Field(0, ge=0, description="Seed of the random choice of the eval files and of the holdout.")
    num_classes: int = Field(
        NUM_CLASSES,
        ge=TOP_K,
        description="Labels run from 0 to one less: 3862 in the data set of 2018 and 2019, 4716 in that of 2017.",
    )
    max_reject_share: float = Field(
        0.01, ge=0, le=1, description="Share of lost videos above which the run stops."
    )
    max_lost_files: int = Field(
        0, ge=0, description="Number of files that cannot be read at all above which the run stops."
    )
    min_eval_videos: int = Field(
        MIN_EVAL_VIDEOS,
        ge=1,
        description="Number of videos of the eval split, and of the holdout, below which the run stops.",
    )
    spans: SpanWindow = Field(
        "newest",
        description="Which spans are read where the patterns have {SPAN} or {YYYY}{MM}{DD}: `newest`; `last-3`, the "
        "newest number and the two before it; `since-12`, all from number 12 on (dates count as days since 1970). Each "
        "span has an eval split and a holdout of its own.",
    )
    copy_: bool = Field(
        False,
        alias="copy",
        description="Write all videos into the artifacts of ExampleGen, for further TFX components that know no "
        "manifests. Otherwise frame-level files stay where they are, and must stay as they are during the run.",
    )
    vocabulary: FileAddress | None = Field(
        None,
        description="YT-8M's vocabulary.csv: the ensemble answers with its names, too. On a bucket, and in a "
        "pipeline that is compiled already, other names need another file name: TFX's cache goes by that.",
    )
    licence: str = Field(
        "CC BY 4.0 (YouTube-8M, Google LLC, https://research.google.com/youtube8m/)",
        description="Licence of the data, which the model card states.",
    )

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of all files that are read."""
        return (*self.train, *self.validate_, *self.holdout_patterns)

    @property
    def has_spans(self) -> bool:
        """Whether the patterns have a {SPAN}, or a date."""
        return any(map(_SPAN.search, self.patterns))

    @property
    def holdout_patterns(self) -> tuple[str, ...]:
        """The patterns of the holdout's files; empty if the holdout is a number of validate files, or absent."""
        return () if isinstance(self.holdout_files, int) else self.holdout_files

    @property
    def judging_split(self) -> str:
        """The split that candidates are judged on: `holdout` or, without a holdout, `eval`."""
        return "holdout" if self.holdout_files else "eval"

    @field_validator("holdout_files", mode="before")
    @classmethod
    def _one_pattern_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _some_eval_videos(self) -> "DataSection":
        if not self.validate_:
            raise ValueError("needs validate patterns: the eval split is drawn from those files")
        return self

    @model_validator(mode="after")
    def _spans_in_all_patterns(self) -> "DataSection":
        without = [pattern for pattern in self.patterns if not _SPAN.search(pattern)]
        if without and len(without) < len(self.patterns):
            raise ValueError(
                f"{without[0]} has no {{SPAN}}, and other patterns have one: give it to all, or to none"
            )
        if not self.has_spans and self.spans != "newest":
            raise ValueError(
                f"spans is {self.spans}, and the patterns have no {{SPAN}}: write it into all of them"
            )
        return self
