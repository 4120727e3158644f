"""Reports for tests: synthetic input with the sizes and GAPs of the paper's Table 1; nothing in them was measured."""

import math

import numpy as np

from components.run_report.document import RunDocument
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.base.units import MIB
from trainer.model.architectures import ARCHITECTURES
from trainer.model.model_spec import ModelSpec

# Variant: GAP of the best average and of the best single snapshot.
TABLE_1 = {
    "K24-H1440": (0.8744, 0.8682), "K32-H1280": (0.8731, 0.8669), "K100-H800": (0.8721, 0.8677),
    "K16-H1280": (0.8718, 0.8665), "K32-H1024": (0.8717, 0.8665), "K20-H960": (0.8717, 0.8661),
    "K16-H800": (0.8712, 0.8666), "K64-H512": (0.8702, 0.8664), "K100-H400": (0.8685, 0.8647),
    "K32-H600": (0.8684, 0.8648), "K32-H512": (0.8683, 0.8647), "K16-H512": (0.8665, 0.8641),
    "K8-H512": (0.8660, 0.8627), "K16-H400": (0.8658, 0.8619), "K10-H400": (0.8644, 0.8626),
    "K32-H256": (0.8616, 0.8593), "K10-H300": (0.8605, 0.8589), "K16-H256": (0.8594, 0.8576),
}  # fmt: skip
INFERIOR = {"K64-H1024": ("K32-H1280", 0.8712), "K8-H800": ("K64-H512", 0.8680)}
ENSEMBLES = [
    ("K24-H1440 K32-H1024 K16-H800 K32-H512", 0.8821), ("K24-H1440 K100-H800 K32-H1024", 0.8819),
    ("K32-H1280 K32-H1024 K16-H800 K32-H512", 0.8818), ("K24-H1440 K32-H1280 K16-H800 K16-H256", 0.8814),
    ("K24-H1440 K16-H800 K32-H512 K16-H400 K32-H256 K16-H256", 0.8811),
    ("K32-H1280 K32-H1024 K16-H800 K32-H256 K16-H256", 0.8811), ("K32-H1280 K100-H800 K16-H1280", 0.8810),
    ("K100-H800 K32-H512 K16-H512 K16-H400 K32-H256 K64-H512", 0.8810),
    ("K32-H1280 K100-H800 K100-H400 K8-H512", 0.8808), ("K100-H800 K64-H512 K32-H512 K16-H512", 0.8808),
    ("K16-H800 K32-H600 K32-H512 K16-H512 K8-H512 K16-H400 K16-H256", 0.8803), ("K32-H1280 K100-H800", 0.8785),
]  # fmt: skip
STEPS = list(range(10_000, 200_001, 10_000))


def run_document(**parts: object) -> RunDocument:
    """The report of a run with these parts, which are as in a file."""
    return RunDocument.model_validate({"run": None, **parts})


def with_parts(report: RunDocument, **parts: object) -> RunDocument:
    """The report with other parts in the places of its own."""
    return run_document(**{**report.document(), **parts})


def compression(variant: str, float32_bytes: int, stored_bytes: int, gap: float) -> dict:
    return {
        "variant": variant,
        "float32_bytes": float32_bytes,
        "stored_bytes": stored_bytes,
        "rate": 1 - stored_bytes / float32_bytes,
        "gap_float32": gap,
        "gap_stored": gap,
        "videos": 17_600,
        "tolerance": 0.0001,
        "tensors": [],
    }


def metrics(gap: float, videos: int) -> dict:
    return {
        "gap": gap,
        "hit_at_one": gap + 0.01,
        "perr": gap - 0.07,
        "map": gap - 0.3,
        "videos": videos,
    }


def curves(variant: str, steps: list[int], top: float, seed: int) -> dict:
    """Like a training run's: noise on a falling loss, two lengths of steps."""
    rng = np.random.default_rng(seed)
    many = list(range(steps[-1] // 200, steps[-1] + 1, steps[-1] // 200))
    falling = [4 + 30 * math.exp(-9 * step / steps[-1]) + float(rng.normal(0, 0.15)) for step in many]
    rising = [round(top - 0.4 * math.exp(-6 * step / steps[-1]), 4) for step in steps]
    rate = [6e5 / (900 + ARCHITECTURES.parse(variant).hidden_size) + float(rng.normal(0, 4)) for _ in many]
    return {
        "loss": {"steps": many, "values": falling},
        "learning_rate": {"steps": many, "values": [1e-4 * 0.8 ** (step // 50_000) for step in many]},
        "examples_per_second": {"steps": many, "values": rate},
        "gap": {"steps": steps, "values": rising},
    }


def averaging(variant: str, average: float, single: float) -> dict:
    singles = [
        {"kind": "single", "first_step": step, "last_step": step, "snapshots": 1}
        | {"gap": single - 0.06 * math.exp(-step / 40_000) - 0.0004 * (step % 30_000 == 0)}
        for step in STEPS
    ]
    averages = [
        {
            "kind": "average",
            "first_step": start,
            "last_step": STEPS[-1],
            "snapshots": (STEPS[-1] - start) // 10_000,
        }
        | {"gap": average - 0.0008 * place}
        for place, start in enumerate((80_000, 120_000, 40_000, 160_000))
    ]
    return {
        "variant": variant,
        "videos": 17_600,
        "candidates": [*singles, *averages],
        "best": averages[0],
        "best_single": singles[-1] | {"gap": single},
        "best_average": averages[0],
    }


def class_rows(first: int, high: float, low: float) -> list[dict]:
    return [
        {
            "class": first + place,
            "name": f"A class with <a name> & number {first + place}",
            "average_precision": high + (low - high) * place / 49,
            "labels": 2000 // (place + 1) + 10,
        }
        for place in range(50)
    ]


def analysis() -> dict:
    bins = [
        {"start": place / 20, "end": (place + 1) / 20, "pairs": 250_000 // (place + 1) ** 2}
        | {"confidence": (place + 0.5) / 20, "hit_rate": min(1.0, ((place + 0.5) / 20) ** 1.15)}
        for place in range(20)
    ]
    names = ["Arts & Entertainment", "Games", "Autos & Vehicles", "Computers & Electronics", "Sports"]
    names += ["Food & Drink", "Business & Industrial", "Pets & Animals", "Home & Garden", "(Unknown)"]
    return {
        "classes": {
            "measured": 3724,
            "ranked": 2801,
            "least_labels": 10,
            "best": class_rows(0, 0.999, 0.97),
            "worst": class_rows(3000, 0.002, 0.08),
        },
        "calibration": {"pairs": sum(one["pairs"] for one in bins), "error": 0.0131, "bins": bins},
        "verticals": [
            {"name": name, "metrics": metrics(0.93 - 0.02 * place, 9000 - 800 * place)}
            for place, name in enumerate(names)
        ],
    }


def statistics() -> dict:
    return {
        split: {
            "videos": videos,
            "frames": {
                "min": 120.0,
                "mean": 230.2,
                "median": 228.0,
                "max": 300.0,
                "histogram": [
                    {"start": 120.0 + 18 * place, "end": 138.0 + 18 * place, "videos": videos * share / 100}
                    for place, share in enumerate((4, 6, 8, 9, 11, 12, 13, 12, 10, 15))
                ],
            },
            "labels": {"min": 1, "mean": 3.01, "max": 23},
        }
        for split, videos in (("train", 5_001_275), ("eval", 17_600))
    }


def big_report() -> RunDocument:
    """A run of the paper's 18 members and two inferior ones, all done."""
    names = [*TABLE_1, *INFERIOR]
    gaps = {
        **{name: pair[0] for name, pair in TABLE_1.items()},
        **{n: gap for n, (_, gap) in INFERIOR.items()},
    }
    sizes = {name: stored_bytes(ModelSpec.parse(name), FLOAT16) for name in names}
    ensembles = []
    for members, gap in ENSEMBLES:
        chosen = members.split()
        weights = np.array([sizes[name] ** 0.7 for name in chosen])
        weights = np.round(weights / weights.sum(), 4).tolist()
        total = sum(sizes[name] for name in chosen)
        ensembles.append({"members": chosen, "weights": weights, "bytes": total, "gap": gap})
    evaluation = {
        "candidate": metrics(0.8821, 17_600),
        "baseline": metrics(0.8785, 17_600),
        "slices": [
            {"feature": feature, "bin": name, "candidate": metrics(gap, 2000), "baseline": metrics(gap - 0.004, 2000)}
            for feature, bins in (
                ("num_labels", [("1", 0.85), ("2", 0.88), ("3", 0.9), ("4-5", 0.89), ("6+", 0.87)]),
                ("num_frames", [("61-120", 0.86), ("121-180", 0.88), ("181-240", 0.885), ("241-300", 0.89)]),
            )
            for name, gap in bins
        ],
    }  # fmt: skip
    checks = [{"name": "gap_floor", "passed": True, "text": "GAP 0.882100 is at least the floor of 0.870000"}]
    return run_document(
        run=facts(names),
        data={
            "splits": {
                "train": {"files": 7628, "videos": 5_001_275, "frames": 1_150_293_250, "labels": 15_053_838},
                "eval": {"files": 60, "videos": 17_600, "frames": 4_048_000, "labels": 52_976},
            },
            "rejected": {"crc_mismatch": 3, "rgb_audio_lengths": 17},
            "rejected_videos": 20,
            "share": 20 / 5_018_895,
            "unlabelled_videos": 1_133_323,
            "losses": [],
            "copies": {},
            "left_out_files": [f"gs://bucket/test{index:04d}.tfrecord" for index in range(3844)],
        },
        statistics=statistics(),
        anomalies={"train": [], "eval": []},
        training={name: curves(name, STEPS, gaps[name], seed) for seed, name in enumerate(names)},
        averaging={
            name: averaging(name, gaps[name], TABLE_1.get(name, (0, gaps[name] - 0.004))[1]) for name in names
        },
        compression={
            name: compression(name, ModelSpec.parse(name).float32_bytes, sizes[name], gaps[name])
            for name in names
        },
        ensemble={
            "videos": 17_600,
            "limit_bytes": 1024 * MIB,
            "members": [
                {
                    "variant": name,
                    "bytes": sizes[name],
                    "gap": gaps[name],
                    "inferior_to": INFERIOR.get(name, (None,))[0],
                }
                for name in names
            ],
            "combinations_fitting": 14_224,
            "ensembles": ensembles,
            "analysis": analysis(),
        },
        evaluation=evaluation,
        blessing={"blessed": True, "reasons": ["fine"], "checks": checks},
        infra_blessing={"blessed": True, "reasons": ["the model server loads it"], "checks": []},
        push={
            "pushed": True,
            "version": 3,
            "destination": "/models/yt8m/3",
            "reason": "pushed as version 3",
            "model_card": "# Model card: yt8m\n\n## Size\n\n| a | b |\n| --- | ---: |\n| <b>x</b> | 1 |\n",
        },
    )


def facts(variants: list[str], state: str = "succeeded", error: str | None = None) -> dict:
    """The run of a pipeline of these variants; the last Trainer failed where the state says so."""
    ids = ["YouTube8MExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator"]
    upstream = {ids[0]: [], ids[1]: [ids[0]], ids[2]: [], ids[3]: [ids[2], ids[1]]}
    for variant in variants:
        upstream[f"Trainer-{variant}"] = ["ExampleValidator"]
        upstream[f"CheckpointAverager-{variant}"] = [f"Trainer-{variant}"]
        upstream[f"Fp16Compressor-{variant}"] = [f"CheckpointAverager-{variant}"]
    upstream["EnsembleAssembler"] = [f"Fp16Compressor-{variant}" for variant in variants]
    upstream.update(Baseline=[], Evaluator=["Baseline", "EnsembleAssembler"])
    upstream.update(ModelServerValidator=["EnsembleAssembler"], Pusher=["Evaluator", "ModelServerValidator"])
    upstream["RunReport"] = ["Pusher"]
    names = list(upstream)
    broken = names.index(f"Trainer-{variants[-1]}") if state == "failed" else len(names)
    nodes = [
        {
            "id": name,
            "upstream": upstream[name],
            "state": "done" if place < broken else "failed" if place == broken else "not begun",
            "started": "2026-01-02T03:04:05+00:00" if place <= broken else None,
            "seconds": 61.5 * (place + 1) if place <= broken else None,
        }
        for place, name in enumerate(names)
    ]
    return {
        "pipeline": "table1",
        "run_id": "2026-01-02T03:04:05.000001",
        "recipe": {"name": "table1", "variants": variants, "push": {"directory": "models/table1"}},
        "nodes": nodes,
        "artifacts": [
            {
                "id": 7,
                "node": names[0],
                "key": "examples",
                "type": "Examples",
                "uri": f"/runs/{'deep/' * 30}7",
            }
        ],
        "code": {"version": "0.1.0", "commit": "0123456789abcdef" * 2, "lock_sha256": "ab" * 32},
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 261_000.0,
        "state": state,
        "error": error,
    }


def brief_averaging(variant, single, average):
    """An averaging of one single snapshot and, unless it is None, one average."""
    steps = {"first_step": 10, "last_step": 20, "snapshots": 1}
    best_single = {"kind": "single", "gap": single, **steps}
    best_average = average and {"kind": "average", "gap": average, **steps}
    return {
        "variant": variant,
        "videos": 17,
        "candidates": [],
        "best": best_average or best_single,
        "best_single": best_single,
        "best_average": best_average,
    }


def stored(variant, float32_mib, stored_mib):
    return compression(variant, int(float32_mib * MIB), int(stored_mib * MIB), 0.5)
