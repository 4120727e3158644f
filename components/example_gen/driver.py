"""TFX's file-based driver, which finds the newest span and fingerprints the files, for windows of spans as well."""

import copy
import hashlib
import json
import posixpath
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfx.components.example_gen import utils
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import standard_component_specs as keys
from tfx.utils import proto_utils

from trainer.base.errors import UserError
from trainer.base.files import expand, file_state

_READERS = 16
"""Files whose size and time are asked for at once: a bucket takes a while to answer."""

_SPAN_MARK = "@"


def span_of(split_name: str, newest: int) -> int:
    """Returns the span that an input split is of: `train-0@7` is of span 7, and without a number it is the newest."""
    number = split_name.partition(_SPAN_MARK)[2]
    return int(number) if number else newest


class Driver(FileBasedDriver):
    """TFX's driver, with windows of several spans, and one line that says what is wrong with patterns and spans.

    Of the spans in the window those are taken of which there are files; each must have files for every pattern. TFX's
    own driver reads one span only, and has further spans read by runs of their own and a resolver.

    TFX's fingerprint of the files is their number, the sum of their bytes and of their times in seconds. A file that is
    renamed, or mended within a second and with as many bytes, leaves it as it is, so names, sizes and times to the
    nanosecond are added.
    """

    def resolve_exec_properties(self, exec_properties: dict[str, Any], *args: Any) -> dict[str, Any]:
        """Puts the spans into the patterns and adds the fingerprint of the files, on which caching rests."""
        try:
            window = _window(exec_properties)
            if window is None:
                resolved = super().resolve_exec_properties(exec_properties, *args)
            else:
                resolved = _resolve_window(exec_properties, window)
            fingerprint = f"{resolved[utils.FINGERPRINT_PROPERTY_NAME]}\nfiles:{_digest_of_files(resolved)}"
            return resolved | {utils.FINGERPRINT_PROPERTY_NAME: fingerprint}
        except ValueError as error:
            base = exec_properties[keys.INPUT_BASE_KEY]
            raise UserError(f"data below {base}: {error}; check the patterns and their {{SPAN}}") from error


def _digest_of_files(exec_properties: dict[str, Any]) -> str:
    """Returns a digest of names, sizes and times of the files that match the patterns."""
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[keys.INPUT_CONFIG_KEY], config)
    base = exec_properties[keys.INPUT_BASE_KEY]
    paths = expand(posixpath.join(base, split.pattern) for split in config.splits)
    with ThreadPoolExecutor(_READERS) as pool:
        states = list(pool.map(file_state, paths))
    return hashlib.sha256(json.dumps([paths, states]).encode()).hexdigest()


def _window(exec_properties: dict[str, Any]) -> range_config_pb2.RollingRange | None:
    """Returns the range where it may have several spans."""
    if not exec_properties.get(keys.RANGE_CONFIG_KEY):
        return None
    config = range_config_pb2.RangeConfig()
    proto_utils.json_to_proto(exec_properties[keys.RANGE_CONFIG_KEY], config)
    return config.rolling_range if config.HasField("rolling_range") else None


def _resolve_window(exec_properties: dict[str, Any], window: range_config_pb2.RollingRange) -> dict[str, Any]:
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[keys.INPUT_CONFIG_KEY], config)
    base = exec_properties[keys.INPUT_BASE_KEY]
    found = [_spans(base, split) for split in config.splits]
    spans = sorted(set().union(*found))
    if not spans:
        raise ValueError("no file has a span")
    first = max(window.start_span_number, spans[-1] - window.num_spans + 1)
    chosen = [span for span in spans if span >= first]
    if not chosen:
        raise ValueError(f"the newest span is {spans[-1]}, before {first}, the first of data.spans")
    splits, fingerprints = [], []
    for span in chosen:
        only = range_config_pb2.RangeConfig(
            static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
        )
        of_span = [copy.deepcopy(split) for split in config.splits]
        fingerprint, _, version = utils.calculate_splits_fingerprint_span_and_version(base, of_span, only)
        fingerprints.append(fingerprint)
        for split in of_span:  # in which TFX has put the span
            split.name = f"{split.name}{_SPAN_MARK}{span}"
        splits += of_span
    resolved = example_gen_pb2.Input(splits=splits)
    return exec_properties | {
        keys.INPUT_CONFIG_KEY: proto_utils.proto_to_json(resolved),
        utils.SPAN_PROPERTY_NAME: chosen[-1],
        utils.VERSION_PROPERTY_NAME: version,
        utils.FINGERPRINT_PROPERTY_NAME: "\n".join(fingerprints),
    }


def _spans(base: str, split: example_gen_pb2.Input.Split) -> set[int]:
    """Returns the spans of the files that match a pattern, as TFX reads them from their names."""
    is_span, is_date, is_version = utils.verify_split_pattern_specs(split)
    if not is_span and not is_date:
        raise ValueError(
            f"data.spans asks for several spans, and the pattern {split.pattern} has no {{SPAN}}"
        )
    pattern, regex = utils._create_matching_glob_and_regex(base, split, is_span, is_date, is_version, None)
    return {
        utils._find_matched_span_version_from_path(path, regex, is_span, is_date, is_version)[1]
        for path in fileio.glob(pattern)
    }
