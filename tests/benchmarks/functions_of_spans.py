"""What a new file costs in ExampleGen's functions, without TFX and Beam: all files new, one new, none.

python -m tests.benchmarks.functions_of_spans --videos 500          # synthetic frame-level files, 150 to 300 frames
python -m tests.benchmarks.functions_of_spans --data 'DIRECTORY/*.tfrecord'
"""

import argparse
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.argument_types import whole


def measure(files: Sequence[str], base: Path) -> dict[str, Any]:
    """Takes the time of the three; the files lie in `base`, since the last one is written anew."""
    from components.example_gen.convert import ShardTask, convert_shard
    from components.example_gen.partial_statistics import merged_statistics, partial_statistics
    from components.statistics_gen.executor import _partial

    partial_statistics([(b"a", (1,), 3)])  # imports TFDV
    uris = {f"{name}_uri": str(base / name) for name in ("examples", "summaries", "staging", "checks")}

    def work() -> float:
        begin = time.process_time()
        results = [
            convert_shard(
                ShardTask(path=path, split="train", index=index, count=len(files), num_classes=3862, **uris)
            )
            for index, path in enumerate(files)
        ]
        merged_statistics(_partial(result.summaries) for result in results if result.videos)
        return time.process_time() - begin

    size = sum(map(os.path.getsize, files))
    all_new = work()
    kept = sum(path.stat().st_size for path in (base / "checks").rglob("*") if path.is_file())
    one_new, nothing_new = [], []
    for _ in range(5):
        last = Path(files[-1])
        content = last.read_bytes()
        last.unlink()
        last.write_bytes(content)  # another time of change, so that it is a new file
        one_new.append(work())
        nothing_new.append(work())
    share = os.path.getsize(files[-1]) / size
    return {
        "files": len(files),
        "bytes": size,
        "kept_share": kept / size,
        "all_new": all_new,
        "one_new": min(one_new),
        "nothing_new": min(nothing_new),
        "times_its_share": min(one_new) / all_new / share,
        "times_its_share_without_kept_files": (min(one_new) - min(nothing_new)) / all_new / share,
    }


def main() -> None:
    """Measures and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=whole(2), default=6)
    parser.add_argument("--videos", type=whole(), default=500, help="videos of a synthetic file")
    parser.add_argument("--data", help="pattern of files, instead of synthetic ones")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        if arguments.data:
            (base / "data").mkdir()
            for path in glob.glob(arguments.data):
                shutil.copy(path, base / "data")
        else:
            from trainer.data.sample import write_sample

            half = arguments.files // 2
            videos = dict.fromkeys(("train_videos", "validate_videos"), half * arguments.videos)
            write_sample(str(base / "data"), shards=half, min_frames=150, max_frames=300, **videos)
        print(json.dumps(measure(sorted(map(str, (base / "data").iterdir())), base), indent=2))


if __name__ == "__main__":
    main()
