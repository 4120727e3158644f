"""How many operations a training step of a family is counted with."""

from tests.benchmarks.families import operations
from trainer.model.model_spec import ModelSpec


def test_operations_of_a_family_are_those_of_its_products():
    # Of one frame: expansion, attention and clusters, then what clusters gather; of one video: the layers after them.
    video = 2 * 1024 * 2048 + 3 * (2048 * 8 + 2048 * 896 + 2048 * 112)
    audio = 2 * 128 * 256 + 3 * (256 * 4 + 256 * 224 + 256 * 56)
    dense = 3 * ((256 * 112 + 64 * 56) * 2048 + 2 * 2048 * 128 + 2048 * 3862)
    spec = ModelSpec.parse("NeXtVLAD-G8-K112-H2048")
    assert operations(spec, 5, 7) == 2 * 5 * (7 * (video + audio) + dense)
    spec = ModelSpec.parse("GRU-L1-H3-M1", 4)
    gru = 2 * 1152 * 9 + 3 * (3 * 6 + 3 * 3)
    dense = 3 * (3 * 3 + 3 * 8 + 3 * 4 + 4 * 4)
    assert operations(spec, 5, 7) == 2 * 5 * (7 * gru + dense)
