"""What a new file costs: ExampleGen and StatisticsGen on many files, then again with one new file, then with none.

    python -m tests.benchmarks.spans --files 60 --videos 100          # synthetic frame-level files, 150 to 300 frames
    python -m tests.benchmarks.spans --data 'DIRECTORY/*.tfrecord'    # these files

Both components run for real, in this process. A run with nothing new costs what TFX and Beam take to start: what is
above that is work on files.
"""

import argparse
import glob
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.argument_types import whole


class Taken(NamedTuple):
    """What a run took."""

    seconds: float
    processor: float


def run(base: Path, patterns: Sequence[str], name: str, **settings: Any) -> Taken:
    """Runs the two components; the artifacts lie in `base`/root, the metadata in a new store."""
    from tfx.orchestration import metadata
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import Pipeline

    from components.example_gen.component import YouTube8MExampleGen
    from components.statistics_gen.component import StatisticsGen
    from pipeline.recipe.beam import BeamSection
    from trainer.data import manifest

    root = base / "root"
    generator = YouTube8MExampleGen([], patterns, min_eval_videos=1, **settings)
    pipeline = Pipeline(
        pipeline_name="spans",
        pipeline_root=str(root),
        components=[generator, StatisticsGen(examples=generator.outputs["summaries"])],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(base / f"{name}.db")),
        beam_pipeline_args=BeamSection(workers=1).pipeline_args,
    )
    for node in ("YouTube8MExampleGen", "StatisticsGen"):  # a new store counts executions from 1 again
        shutil.rmtree(root / node, ignore_errors=True)
    manifest._read.cache_clear()  # here two runs have one artifact's address
    before, processor = time.perf_counter(), time.process_time()
    LocalDagRunner().run(pipeline)
    return Taken(time.perf_counter() - before, time.process_time() - processor)


def tree_bytes(directory: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def measure(files: Sequence[str], base: Path) -> dict[str, Any]:
    """Runs on all files, on all with one that is new, and on all with none; each a few times, in turn."""
    data = base / "data"
    data.mkdir()
    for path in files:
        shutil.copy(path, data)
    patterns = [f"{data}/*"]
    some = base / "warm"
    some.mkdir()
    for path in sorted(data.iterdir())[:3]:
        shutil.copy(path, some)
    run(base, [f"{some}/*"], "warm")
    shutil.rmtree(base / "root")
    first = run(base, patterns, "first")
    written = tree_bytes(base / "root")
    new, none = [], []
    victim = max(data.iterdir())
    for turn in range(3):
        content = victim.read_bytes()
        victim.unlink()
        victim.write_bytes(content)  # another time of change, so that it is a new file
        new.append(run(base, patterns, f"new{turn}"))
        none.append(run(base, patterns, f"none{turn}"))
    size = sum(path.stat().st_size for path in data.iterdir())
    start = min(one.processor for one in none)
    share = (min(one.processor for one in new) - start) / (first.processor - start)
    return {
        "files": len(files),
        "bytes": size,
        "bytes_written": written,
        "written_share": written / size,
        "first": first._asdict(),
        "one_new": min(new)._asdict(),
        "nothing_new": min(none)._asdict(),
        "share_of_the_new_file": victim.stat().st_size / size,
        "share_of_the_work": share,
        "times_its_share": share / (victim.stat().st_size / size),
    }


def main() -> None:
    """Measures and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=whole(2), default=60)
    parser.add_argument("--videos", type=whole(), default=100, help="videos of a synthetic file")
    parser.add_argument("--data", help="pattern of files, instead of synthetic ones")
    arguments = parser.parse_args()
    sys.argv = sys.argv[:1]
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        files = sorted(glob.glob(arguments.data)) if arguments.data else []
        if not files:
            from trainer.data.sample import write_sample

            half = arguments.files // 2
            write_sample(
                str(base / "sample"),
                train_videos=half * arguments.videos,
                validate_videos=half * arguments.videos,
                shards=half,
                min_frames=150,
                max_frames=300,
            )
            files = sorted(glob.glob(str(base / "sample/*")))
        print(json.dumps(measure(files, base), indent=2))


if __name__ == "__main__":
    main()
