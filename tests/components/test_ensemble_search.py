"""The search of ensembles: scores that are made smaller, weights, and that nothing better is missed."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ensemble_assembler import promising
from components.ensemble_assembler import search as search_module
from components.ensemble_assembler.ensemble import ModelEntry, rounded_weights
from components.ensemble_assembler.exact import exact_gaps
from components.ensemble_assembler.promising import promising_combinations
from components.ensemble_assembler.reduced_scores import ReducedScores
from components.ensemble_assembler.score_file import EvalScores, ScoreFile
from components.ensemble_assembler.search import best_ensembles
from components.ensemble_assembler.selection import fitting_combinations
from components.ensemble_assembler.weighting import MeritWeights, tuned_weights
from trainer.metrics.video_metrics import VideoMetrics
from trainer.model.architectures.mlp import Mlp


def noisy_scores(directory, members, videos=120, classes=90, seed=0, noise=1.5, spread=0.2):
    """Members whose errors are partly their own, so that mixing them helps."""
    generator = np.random.default_rng(seed)
    labels = generator.random((videos, classes)) < 3 / classes
    common = np.where(labels, 1.5, -5.0) + generator.normal(0, 1, labels.shape)
    files = []
    for index in range(members):
        logits = common + generator.normal(0, noise + spread * index, labels.shape)
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        files.append(ScoreFile.write(str(directory / f"scores-{index}"), [scores], classes, np.float32))
    written = ScoreFile.write(str(directory / "labels"), [labels[:50], labels[50:]], classes, np.bool_)
    return EvalScores(tuple(files), written)


def literal_gap(data, members, weights):
    metrics = VideoMetrics(data.num_classes)
    scores = [data.scores[member].rows(0, data.videos).astype(np.float64) for member in members]
    total = sum(weight * score for weight, score in zip(weights, scores, strict=True))
    metrics.update(total.astype(np.float32), data.labels.rows(0, data.videos))
    return metrics.gap()


def scores_of_forms(directory, members, videos=300):
    """Each model as it is (8 bytes), a little worse (4 bytes), and much worse (1 byte)."""
    plain = noisy_scores(directory, members, videos=videos, classes=40, spread=0.05)
    generator = np.random.default_rng(5)
    files, entries = [], []
    for model, file in enumerate(plain.scores):
        scores = file.rows(0, plain.videos)
        for size, noise in ((8, 0.0), (4, 0.05), (1, 0.6)):
            logits = np.log(scores / (1 - scores)) + generator.normal(0, noise, scores.shape)
            worse = (1 / (1 + np.exp(-logits))).astype(np.float32)
            path = str(directory / f"form-{model}-{size}")
            files.append(ScoreFile.write(path, [worse], plain.num_classes, np.float32))
            entries.append(
                ModelEntry(
                    variant=str(model),
                    form=str(size),
                    model=model,
                    bytes=size,
                    gap=0.0,
                    architecture=Mlp(model + 1),
                )
            )
    return EvalScores(tuple(files), plain.labels), entries


class TestReducedScores:
    @pytest.mark.parametrize("classes", [15, 60, 200])
    def test_gap_is_the_exact_one_but_for_rounding(self, tmp_path, classes):
        data = noisy_scores(tmp_path, 3, classes=classes)
        reduced = ReducedScores.of(data, [2, 0])
        for weights in ([0.5, 0.5], [0.9, 0.1], [2.0, 6.0]):
            assert reduced.gap((0, 1), weights) == pytest.approx(literal_gap(data, [2, 0], weights), abs=1e-4)

    def test_a_sample_of_the_videos(self, tmp_path):
        data = noisy_scores(tmp_path, 2, videos=700)
        reduced = ReducedScores.of(data, [0, 1], max_videos=300)
        assert reduced.videos == 300
        assert reduced.gap((0, 1), [1, 1]) == pytest.approx(literal_gap(data, [0, 1], [0.5, 0.5]), abs=0.05)
        everything = ReducedScores.of(data, [0, 1])
        np.testing.assert_array_equal(everything.scores[:, :300], reduced.scores)
        np.testing.assert_array_equal(everything.positives[:300], reduced.positives)

    def test_without_labels_gap_is_0(self):
        reduced = ReducedScores(np.ones((1, 4, 3), np.float32), np.zeros((4, 3), bool), np.zeros(4, int))
        assert reduced.gap((0,), [1.0]) == 0


class TestWeights:
    def test_tuning_is_as_good_as_a_fine_grid(self, tmp_path):
        reduced = ReducedScores.of(noisy_scores(tmp_path, 2, videos=300), [0, 1])
        tuned = tuned_weights(reduced, (0, 1), np.array([0.5, 0.5]))
        grid = [reduced.gap((0, 1), [share, 1 - share]) for share in np.linspace(0.05, 0.95, 181)]
        assert reduced.gap((0, 1), tuned) >= max(grid) - 2e-4
        assert reduced.gap((0, 1), tuned) >= reduced.gap((0, 1), [1, 1])

    def test_merit_weights_follow_the_members_own_gap(self, tmp_path):
        reduced = ReducedScores.of(noisy_scores(tmp_path, 4, spread=1.5), [0, 1, 2, 3])
        everyone = (0, 1, 2, 3)
        merit = MeritWeights(reduced, [everyone, (0, 3)])
        gaps = [reduced.gap((member,), [1.0]) for member in everyone]
        weights = merit.weights(everyone)
        assert merit.sharpness > 0
        assert weights.sum() == pytest.approx(1)
        assert np.argsort(weights).tolist() == np.argsort(gaps).tolist()
        assert reduced.gap(everyone, weights) > reduced.gap(everyone, [1, 1, 1, 1])

    def test_merit_weights_of_equal_members_are_equal(self):
        hits = np.eye(5, dtype=bool)
        reduced = ReducedScores(np.stack([hits, hits]).astype(np.float32), hits, np.ones(5, int))
        assert MeritWeights(reduced, [(0, 1)]).weights((0, 1)).tolist() == [0.5, 0.5]

    @given(st.lists(st.floats(0.01, 1), min_size=1, max_size=18))
    def test_rounded_weights_sum_to_1(self, weights):
        rounded = rounded_weights(np.array(weights))
        assert sum(rounded) == pytest.approx(1, abs=1e-12)
        assert np.allclose(rounded, np.array(weights) / sum(weights), atol=1.01e-4)


class TestSearch:
    @settings(max_examples=8, deadline=None)
    @given(seed=st.integers(0, 1000), count=st.integers(1, 4))
    def test_nothing_better_by_brute_force(self, tmp_path_factory, seed, count):
        data = noisy_scores(tmp_path_factory.mktemp("scores"), count, videos=60, classes=30, seed=seed)
        combinations = fitting_combinations([1] * count, 3)
        ensembles = best_ensembles(data, combinations)
        assert [one.gap for one in ensembles] == sorted((one.gap for one in ensembles), reverse=True)
        for one in ensembles:
            assert sum(one.weights) == pytest.approx(1)
            assert one.gap == pytest.approx(literal_gap(data, one.members, one.weights), abs=1e-6)
        for members in combinations:
            equal = literal_gap(data, members, [1 / len(members)] * len(members))
            assert ensembles[0].gap >= equal - 1e-6

    def test_deterministic(self, tmp_path):
        data = noisy_scores(tmp_path, 3)
        combinations = fitting_combinations([1, 1, 1], 3)
        assert best_ensembles(data, combinations) == best_ensembles(data, combinations)

    def test_rounds_of_screening_keep_the_winner(self, tmp_path, monkeypatch):
        data = noisy_scores(tmp_path, 6, videos=400)
        combinations = fitting_combinations([1] * 6, 3)
        whole = best_ensembles(data, combinations)
        monkeypatch.setattr(search_module, "_LEAST_VIDEOS", 100)
        monkeypatch.setattr(search_module, "_SCREENED_VIDEOS", 1)
        monkeypatch.setattr(search_module, "TUNED", 3)
        assert best_ensembles(data, combinations)[0].gap >= whole[0].gap - 1e-3

    def test_exact_gaps_in_one_pass(self, tmp_path, monkeypatch):
        monkeypatch.setattr("components.ensemble_assembler.exact._BLOCK", 32)
        data = noisy_scores(tmp_path, 3)
        wanted = [((0,), (1.0,)), ((0, 2), (0.25, 0.75))]
        for (members, weights), found in zip(wanted, exact_gaps(data, wanted), strict=True):
            assert found == pytest.approx(literal_gap(data, members, weights), abs=1e-6)


class TestGuidedSearch:
    @pytest.mark.parametrize("limit", [5, 9, 17, 40])
    def test_the_guided_search_loses_nothing_that_counts(self, tmp_path, monkeypatch, limit):
        """Against all combinations of five models of three forms each; those of few bytes are worse."""
        data, models = scores_of_forms(tmp_path, 5)
        kept = range(len(models))
        everything = promising_combinations(data, models, kept, limit)
        assert sorted(everything) == sorted(
            fitting_combinations([m.bytes for m in models], limit, models=[m.model for m in models])
        )
        monkeypatch.setattr(promising, "EXHAUSTIVE", 0)
        monkeypatch.setattr(promising, "_RETURNED", 50)
        guided = promising_combinations(data, models, kept, limit)
        assert set(guided) <= set(everything)
        assert len(guided) <= 50
        best = [best_ensembles(data, found)[0].gap for found in (everything, guided)]
        assert best[1] >= best[0] - 0.0002

    def test_the_guided_search_looks_at_few_where_there_are_very_many(self, tmp_path, caplog):
        caplog.set_level("INFO", "yt8m.assembler")
        data, models = scores_of_forms(tmp_path, 12, videos=60)
        found = promising_combinations(data, models, range(len(models)), 60)
        looked_at = int(re.search(r"looked at (\d+) combinations of 36 forms", caplog.text)[1])
        assert len(found) <= looked_at <= promising.EXHAUSTIVE
        for members in found:
            assert sum(models[index].bytes for index in members) <= 60
            assert len({models[index].model for index in members}) == len(members)
