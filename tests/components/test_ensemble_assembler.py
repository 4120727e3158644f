"""The assembler: the inferiority rule, what fits, and that nothing better is missed."""

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ensemble_assembler import promising
from components.ensemble_assembler import search as search_module
from components.ensemble_assembler.assembler import assemble
from components.ensemble_assembler.ensemble import ModelEntry, rounded_weights
from components.ensemble_assembler.exact import exact_gaps
from components.ensemble_assembler.promising import promising_combinations
from components.ensemble_assembler.reduced_scores import ReducedScores
from components.ensemble_assembler.score_file import EvalScores, ScoreFile
from components.ensemble_assembler.search import best_ensembles
from components.ensemble_assembler.selection import (
    FORM_TOLERANCE,
    fitting_combinations,
    inferior_to,
    needless_forms,
)
from components.ensemble_assembler.weighting import MeritWeights, tuned_weights
from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.stored_form import StoredForm
from serving.export.vocabulary import Vocabulary
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.metrics.scorer import Scorer, evaluate
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

    def test_another_family_makes_nobody_superfluous(self):
        entries = models((10, 0.8), (20, 0.7), (20, 0.7))
        entries[1] = dataclasses.replace(entries[1], family="Chain")
        assert inferior_to(entries) == [None, None, 0]

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


def forms(*triples):
    """Of (model, bytes, GAP)."""
    return [ModelEntry(variant="v", model=model, bytes=size, gap=gap) for model, size, gap in triples]


class TestForms:
    def test_a_larger_form_must_be_worth_it(self):
        entries = forms(
            (0, 100, 0.8), (0, 50, 0.8), (0, 25, 0.7), (1, 90, 0.8), (1, 45, 0.79996), (1, 20, 0.7)
        )
        assert needless_forms(entries) == [1, None, None, 4, None, None]

    def test_losses_do_not_add_up_over_many_forms(self):
        entries = forms(*((0, 10 + step, 0.5 + step * 0.8 * FORM_TOLERANCE) for step in range(6)))
        assert needless_forms(entries) == [None, 0, None, 2, None, 4]

    def test_a_form_of_unknown_gap_stays(self):
        assert needless_forms(forms((0, 20, math.nan), (0, 10, math.nan), (0, 5, 0.5))) == [None] * 3

    @given(st.lists(st.integers(0, 2), min_size=1, max_size=7), st.integers(0, 12), st.randoms())
    def test_a_model_stands_in_a_combination_once(self, owners, limit, random):
        owners, sizes = sorted(owners), [random.randint(1, 5) for _ in owners]
        found = fitting_combinations(sizes, limit, models=owners)
        everything = itertools.chain.from_iterable(
            itertools.combinations(range(len(sizes)), count) for count in range(1, len(sizes) + 1)
        )
        expected = [
            one
            for one in everything
            if sum(sizes[index] for index in one) <= limit
            and len({owners[index] for index in one}) == len(one)
        ]
        assert sorted(found) == sorted(expected)
        assert fitting_combinations(sizes, limit, owners, len(expected)) == found
        if expected:
            assert fitting_combinations(sizes, limit, owners, len(expected) - 1) is None

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
            entries.append(ModelEntry(variant=str(model), form=str(size), model=model, bytes=size, gap=0.0))
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


def write_models(directory, names):
    paths = []
    for index, name in enumerate(names):
        spec = ModelSpec.parse(name, CLASSES)
        weights = compress(spec, weights_of(name, index), FLOAT16)
        path = str(directory / f"model-{index}")
        member = Member(spec=spec, weights=weights, first_step=10, last_step=20, snapshots=2)
        write_saved_model(path, [member])
        paths.append([path])
    return paths


class TestAssemble:
    def test_writes_the_best_ensemble_as_one_model(self, tmp_path):
        paths, files = write_models(tmp_path, ["K2-H3", "K3-H5", "K4-H7"]), eval_shards(tmp_path)
        target = str(tmp_path / "ensemble")
        report = assemble(paths, files, target, 10 * MIB, Vocabulary({0: "Game"}))

        assert (tmp_path / "ensemble" / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
        assert Vocabulary.load(f"{target}/assets/vocabulary.csv").name(0) == "Game"

        assert report.videos == 30
        assert [member.variant for member in report.members] == ["K2-H3", "K3-H5", "K4-H7"]
        staying = [member.variant for member in report.members if member.inferior_to is None]
        assert report.combinations_fitting == 2 ** len(staying) - 1 == len(report.ensembles)
        best = report.ensembles[0]
        assert best.gap >= max(member.gap for member in report.members)
        card = ModelCard.load(target)
        assert tuple(member.variant for member in card.members) == best.members
        assert tuple(member.weight for member in card.members) == best.weights
        assert sum(best.weights) == pytest.approx(1)
        assert (card.gap, card.bytes) == (best.gap, best.bytes)
        for index, member in enumerate(card.members):
            source = read_stored(paths[["K2-H3", "K3-H5", "K4-H7"].index(member.variant)][0])
            written = read_stored(target, index)
            for name, value in source.items():
                assert written[name].codec == value.codec
                np.testing.assert_array_equal(written[name].parts["values"], value.parts["values"])
            assert (member.first_step, member.last_step, member.snapshots) == (10, 20, 2)

    def test_one_model_is_an_ensemble_of_one(self, tmp_path):
        target = str(tmp_path / "ensemble")
        report = assemble(write_models(tmp_path, ["K2-H3"]), eval_shards(tmp_path), target, 10 * MIB)
        assert report.ensembles[0].weights == (1.0,)
        assert ModelCard.load(target).members[0].weight == 1.0

    def test_chooses_a_form_of_each_model(self, tmp_path):
        """Three forms of each: float16 fits for one model only, int8 is as good, and one is spoilt."""
        files, ladders = eval_shards(tmp_path), []
        for seed, name in enumerate(("K2-H3", "K3-H5")):
            spec, weights, ladder = ModelSpec.parse(name, CLASSES), weights_of(name, seed), []
            scorer = Scorer(spec)
            for index, form in enumerate(("float16", "int8", "int4-b32+experts/weights=sparse-k1-int8")):
                stored = compress(spec, weights, StoredForm.parse(form))
                scorer.load({key: value.decode() for key, value in stored.items()})
                path = str(tmp_path / f"{name}-{index}")
                gap = evaluate(scorer, files).gap
                write_saved_model(path, [Member(spec=spec, weights=stored, gap=gap)])
                ladder.append(path)
            ladders.append(ladder)
        target = str(tmp_path / "ensemble")
        report = assemble(ladders, files, target, 10 * MIB).model_dump(mode="json")
        rows = {(row["variant"], row["form"]): row for row in report["members"]}
        assert len(rows) == 6
        best = report["ensembles"][0]
        card = ModelCard.load(target)
        assert [member.variant for member in card.members] == best["members"]
        assert (
            sum(rows[pair]["bytes"] for pair in zip(best["members"], best["forms"], strict=True))
            == card.bytes
        )
        for one in report["ensembles"]:
            assert len(set(one["members"])) == len(one["members"])
            for pair in zip(one["members"], one["forms"], strict=True):
                assert rows[pair]["inferior_to"] is None
        for index, (variant, form) in enumerate(zip(best["members"], best["forms"], strict=True)):
            codecs = {name: value.codec for name, value in read_stored(target, index).items()}
            assert StoredForm.of(ModelSpec.parse(variant, CLASSES), codecs).name == form
        for row in report["members"]:
            if row["inferior_to"] is not None:
                assert (row["inferior_to"], row["inferior_to_form"]) in rows

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
            assemble([[str(tmp_path / "two")]], [], str(tmp_path / "ensemble"), MIB)
