"""The executor of our StatisticsGen."""

import posixpath
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tfx import types
from tfx.components.statistics_gen import executor as tfx_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as keys

from components.example_gen.partial_statistics import STATISTICS, merged_statistics, partial_statistics
from trainer.base.files import exists, open_file
from trainer.data.encoding import parse_summary
from trainer.data.manifest import MANIFEST, DataFile, example_files, referenced
from trainer.data.tfrecord import Record, used_records

_READERS = 16
"""Files that are read at the same time: each is small, and may be in a bucket."""


class Executor(tfx_executor.Executor):
    """Merges the statistics of the files of a manifest; where there are real files, it is TFX's executor."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the step."""
        examples = artifact_utils.get_single_instance(input_dict[keys.EXAMPLES_KEY])
        splits = artifact_utils.decode_split_names(examples.split_names)
        manifests = {
            split: posixpath.join(artifact_utils.get_split_uri([examples], split), MANIFEST)
            for split in splits
        }
        if not all(map(exists, manifests.values())):
            super().Do(input_dict, output_dict, exec_properties)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(output_dict[keys.STATISTICS_KEY])
        statistics.split_names = examples.split_names
        statistics.span = examples.span
        with ThreadPoolExecutor(_READERS) as pool:
            for split, manifest in manifests.items():
                files = [referenced(address) for address in example_files([manifest])]
                partials = pool.map(_partial, [file for file in files if file and file.videos])
                directory = artifact_utils.get_split_uri([statistics], split)
                fileio.makedirs(directory)
                with open_file(posixpath.join(directory, tfx_executor.DEFAULT_FILE_NAME), "wb") as file:
                    file.write(merged_statistics(partials).SerializeToString(deterministic=True))


def _partial(file: DataFile) -> bytes:
    """The statistics of a file: the kept ones, unless videos of it are left out or another TFDV has made them."""
    kept = posixpath.join(posixpath.dirname(file.file), STATISTICS)
    if exists(kept) and not file.skipped:
        with open_file(kept, "rb") as content:
            return content.read()
    return partial_statistics(
        [parse_summary(one.data) for one in used_records(file) if isinstance(one, Record)]
    )
