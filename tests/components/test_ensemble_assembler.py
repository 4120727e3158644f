"""The assembler: from models and a split to the best ensemble, written as one model."""

import numpy as np
import pytest

from components.ensemble_assembler.assembler import assemble
from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import compress
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.stored_form import StoredForm
from serving.export.vocabulary import Vocabulary
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Directories of models in float16, by their names."""
    directory, paths = tmp_path_factory.mktemp("models"), {}
    for index, name in enumerate(("K2-H3", "K3-H5", "K4-H7")):
        spec = ModelSpec.parse(name, CLASSES)
        weights = compress(spec, weights_of(name, index), FLOAT16)
        paths[name] = str(directory / name)
        member = Member(spec=spec, weights=weights, first_step=10, last_step=20, snapshots=2)
        write_saved_model(paths[name], [member])
    return paths


class TestAssemble:
    def test_writes_the_best_ensemble_as_one_model(self, models, tmp_path):
        paths, files = [[path] for path in models.values()], eval_shards(tmp_path)
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
            source = read_stored(models[member.variant])
            written = read_stored(target, index)
            for name, value in source.items():
                assert written[name].codec == value.codec
                np.testing.assert_array_equal(written[name].parts["values"], value.parts["values"])
            assert (member.first_step, member.last_step, member.snapshots) == (10, 20, 2)

    def test_one_model_is_an_ensemble_of_one(self, models, tmp_path):
        target = str(tmp_path / "ensemble")
        report = assemble([[models["K2-H3"]]], eval_shards(tmp_path), target, 10 * MIB)
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

    def test_the_directory_counts_too(self, models, tmp_path, monkeypatch):
        paths, files = [[models["K2-H3"]]], eval_shards(tmp_path, videos=4)
        # A graph's own bytes vary by one or two from one export to the next.
        monkeypatch.setattr(
            "components.ensemble_assembler.assembler.directory_bytes", lambda directory: 99_999
        )
        assemble(paths, files, str(tmp_path / "exact"), 99_999)
        with pytest.raises(UserError, match="99998 bytes with its graph, the last one tried takes 99999"):
            assemble(paths, files, str(tmp_path / "short"), 99_998)
        assert not (tmp_path / "short").exists()

    def test_nothing_fits(self, models, tmp_path):
        paths, files = [[models["K2-H3"]], [models["K3-H5"]]], eval_shards(tmp_path, videos=4)
        with pytest.raises(UserError, match=r"the smallest is K2-H3"):
            assemble(paths, files, str(tmp_path / "ensemble"), 100)

    def test_refuses_an_ensemble_as_a_member(self, tmp_path):
        member = Member(spec=ModelSpec.parse("K2-H3", CLASSES), weights=weights_of("K2-H3", 0), weight=0.5)
        write_saved_model(str(tmp_path / "two"), [member, member])
        with pytest.raises(UserError, match="single model"):
            assemble([[str(tmp_path / "two")]], [], str(tmp_path / "ensemble"), MIB)
