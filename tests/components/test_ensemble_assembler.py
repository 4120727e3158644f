"""The assembler: the inferiority rule, what fits, and that nothing better is missed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ensemble_assembler import search as search_module
from components.ensemble_assembler.assembler import assemble
from components.ensemble_assembler.ensemble import ModelEntry, rounded_weights
from components.ensemble_assembler.exact import exact_gaps
from components.ensemble_assembler.reduced_scores import ReducedScores
from components.ensemble_assembler.score_file import EvalScores, ScoreFile
from components.ensemble_assembler.search import best_ensembles
from components.ensemble_assembler.selection import fitting_combinations, inferior_to
from components.ensemble_assembler.weighting import MeritWeights, tuned_weights
from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.vocabulary import Vocabulary
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.metrics.video_metrics import VideoMetrics
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec

TABLE1_BYTES = [stored_bytes(ModelSpec(variant), FLOAT16) for variant in TABLE1]


def models(*pairs):
    return [ModelEntry(variant=str(index), bytes=size, gap=gap) for index, (size, gap) in enumerate(pairs)]


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


class TestInferior:
    def test_larger_and_no_better_goes(self):
        entries = models((10, 0.8), (20, 0.8), (20, 0.9), (5, 0.1), (10, 0.7))
        assert inferior_to(entries) == [None, 2, None, None, 0]

    def test_of_identical_ones_exactly_one_stays(self):
        assert inferior_to(models((10, 0.5), (10, 0.5), (10, 0.5))) == [None, 0, 0]

    def test_the_paper_keeps_18_of_its_table(self):
        gaps = (
            0.8744, 0.8731, 0.8721, 0.8718, 0.87171, 0.8717, 0.8712, 0.8702, 0.8685, 0.8684, 0.8683, 0.8665, 0.8660,
            0.8658, 0.8644, 0.8616, 0.8605, 0.8594,
        )  # fmt: skip
        entries = models(
            *(
                (stored_bytes(ModelSpec(variant), FLOAT16), gap)
                for variant, gap in zip(TABLE1, gaps, strict=True)
            )
        )
        assert inferior_to(entries) == [None] * 18

    @given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=9))
    def test_law(self, pairs):
        reasons = inferior_to(models(*pairs))
        kept = [index for index, reason in enumerate(reasons) if reason is None]
        # Those that stay are a trade of size for GAP: sorted by one, they are sorted by the other.
        order = sorted(kept, key=lambda index: pairs[index][0])
        for small, large in itertools.pairwise(order):
            assert pairs[small][0] < pairs[large][0]
            assert pairs[small][1] < pairs[large][1]
        for index, reason in enumerate(reasons):
            if reason is not None:
                assert reason in kept
                assert pairs[reason][0] <= pairs[index][0]
                assert pairs[reason][1] >= pairs[index][1]


class TestCombinations:
    def test_the_paper_counts_14224(self):
        assert len(fitting_combinations(TABLE1_BYTES, 1024 * MIB)) == 14_224

    def test_limit_to_the_byte(self):
        assert (0, 1) in fitting_combinations([60, 40], 100)
        assert fitting_combinations([60, 40], 99) == [(0,), (1,)]
        assert fitting_combinations([60, 40], 40) == [(1,)]
        assert fitting_combinations([60, 40], 39) == []

    @given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.integers(0, 60))
    def test_equals_brute_force(self, sizes, limit):
        everything = itertools.chain.from_iterable(
            itertools.combinations(range(len(sizes)), count) for count in range(1, len(sizes) + 1)
        )
        expected = [one for one in everything if sum(sizes[index] for index in one) <= limit]
        assert sorted(fitting_combinations(sizes, limit)) == sorted(expected)

    def test_too_many_are_cut_by_their_number_of_members(self, caplog):
        found = fitting_combinations([1] * 10, 10, at_most=100)
        assert len(found) == 10 + 45
        assert "3 and more members" in caplog.text


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


def write_models(directory, names):
    paths = []
    for index, name in enumerate(names):
        spec = ModelSpec.parse(name, CLASSES)
        weights = compress(spec, weights_of(name, index), FLOAT16)
        path = str(directory / f"model-{index}")
        member = Member(spec=spec, weights=weights, first_step=10, last_step=20, snapshots=2)
        write_saved_model(path, [member])
        paths.append(path)
    return paths


class TestAssemble:
    def test_writes_the_best_ensemble_as_one_model(self, tmp_path):
        paths, files = write_models(tmp_path, ["K2-H3", "K3-H5", "K4-H7"]), eval_shards(tmp_path)
        target = str(tmp_path / "ensemble")
        report = assemble(paths, files, target, 10 * MIB, Vocabulary({0: "Game"}))

        assert (tmp_path / "ensemble" / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
        assert Vocabulary.load(f"{target}/assets/vocabulary.csv").name(0) == "Game"

        assert report["videos"] == 30
        assert [member["variant"] for member in report["members"]] == ["K2-H3", "K3-H5", "K4-H7"]
        staying = [member["variant"] for member in report["members"] if member["inferior_to"] is None]
        assert report["combinations_fitting"] == 2 ** len(staying) - 1 == len(report["ensembles"])
        best = report["ensembles"][0]
        assert best["gap"] >= max(member["gap"] for member in report["members"])
        card = ModelCard.load(target)
        assert [member.variant for member in card.members] == best["members"]
        assert [member.weight for member in card.members] == best["weights"]
        assert sum(best["weights"]) == pytest.approx(1)
        assert (card.gap, card.bytes) == (best["gap"], best["bytes"])
        for index, member in enumerate(card.members):
            source = read_stored(paths[["K2-H3", "K3-H5", "K4-H7"].index(member.variant)])
            written = read_stored(target, index)
            for name, value in source.items():
                assert written[name].codec == value.codec
                np.testing.assert_array_equal(written[name].parts["values"], value.parts["values"])
            assert (member.first_step, member.last_step, member.snapshots) == (10, 20, 2)

    def test_one_model_is_an_ensemble_of_one(self, tmp_path):
        target = str(tmp_path / "ensemble")
        report = assemble(write_models(tmp_path, ["K2-H3"]), eval_shards(tmp_path), target, 10 * MIB)
        assert report["ensembles"][0]["weights"] == [1.0]
        assert ModelCard.load(target).members[0].weight == 1.0

    def test_the_directory_counts_too(self, tmp_path, monkeypatch):
        paths, files = write_models(tmp_path, ["K2-H3"]), eval_shards(tmp_path, videos=4)
        # A graph's own bytes vary by one or two from one export to the next.
        monkeypatch.setattr(
            "components.ensemble_assembler.assembler.directory_bytes", lambda directory: 99_999
        )
        assemble(paths, files, str(tmp_path / "exact"), 99_999)
        with pytest.raises(UserError, match="99998 bytes with its graph, the last one tried takes 99999"):
            assemble(paths, files, str(tmp_path / "short"), 99_998)
        assert not (tmp_path / "short").exists()

    def test_nothing_fits(self, tmp_path):
        paths, files = write_models(tmp_path, ["K2-H3", "K2-H4"]), eval_shards(tmp_path, videos=4)
        with pytest.raises(UserError, match=r"the smallest is K2-H3"):
            assemble(paths, files, str(tmp_path / "ensemble"), 100)

    def test_refuses_an_ensemble_as_a_member(self, tmp_path):
        member = Member(spec=ModelSpec.parse("K2-H3", CLASSES), weights=weights_of("K2-H3", 0), weight=0.5)
        write_saved_model(str(tmp_path / "two"), [member, member])
        with pytest.raises(UserError, match="single model"):
            assemble([str(tmp_path / "two")], [], str(tmp_path / "ensemble"), MIB)
