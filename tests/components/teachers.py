"""Two small models that teach, and videos for them."""

from pathlib import Path

from components.teacher.config import TeacherConfig
from serving.export.saved_model import Member, write_saved_model
from tests.components.tiny_models import CLASSES, weights_of
from tests.records import write_shards
from trainer.model.model_spec import ModelSpec

SPEC = ModelSpec.parse("K3-H4", CLASSES)
CONFIG = TeacherConfig(threshold=0.01, max_classes=5, batch_size=8)


def write_teachers(directory: Path) -> list[str]:
    """Writes two models, of the seeds 1 and 2."""
    for seed in (1, 2):
        write_saved_model(str(directory / str(seed)), [Member(spec=SPEC, weights=weights_of("K3-H4", seed))])
    return [str(directory / "1"), str(directory / "2")]


def write_teacher_shards(directory: Path) -> list[str]:
    """Writes four files of ten videos."""
    return write_shards(directory, shards=4, videos=10, num_classes=CLASSES)
