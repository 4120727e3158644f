"""The models of a server, which may become others while it serves."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import grpc

from serving.server.models.model_config import ModelConfig, check_model
from serving.server.models.model_manager import ModelManager
from serving.server.status import StatusError
from trainer.base.errors import UserError


class ModelSet(Mapping[str, ModelManager]):
    """The managers of the served models, by the models' names.

    Args:
        configs: The models that are served.
        make: Makes the manager of a model.
    """

    def __init__(self, configs: Sequence[ModelConfig], make: Callable[[ModelConfig], ModelManager]) -> None:
        self._make = make
        self._models = {config.name: make(config) for config in configs}
        self._changing = threading.Lock()

    def __getitem__(self, name: str) -> ModelManager:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def start(self) -> None:
        """Loads the models; raises UserError where one does not load."""
        for model in self._models.values():
            model.start()

    def stop(self) -> None:
        """Unloads the models."""
        for model in self._models.values():
            model.stop()

    def change(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models in place of those that are served.

        What is new is loaded before anything goes, and what stays is not loaded again. Where one does not load, all is
        as it was.

        Raises:
            UserError: If a model does not exist or does not load.
            StatusError: If another change is under way.
        """
        if not self._changing.acquire(blocking=False):
            raise StatusError(
                grpc.StatusCode.UNAVAILABLE, "another change of the models is under way; try again"
            )
        try:
            self._change(configs)
        finally:
            self._changing.release()

    def _change(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            check_model(config)
        before = self._models
        after: dict[str, ModelManager] = {}
        new: list[ModelManager] = []
        changed: list[tuple[ModelManager, ModelConfig]] = []
        try:
            for config in configs:
                model = before.get(config.name)
                if model is None or model.config.base_path != config.base_path:
                    new.append(self._make(config))
                    new[-1].start()
                    after[config.name] = new[-1]
                else:
                    changed.append((model, model.config))
                    model.reconfigure(config)
                    after[config.name] = model
        except BaseException:
            for model in new:
                model.stop()
            for model, config in changed:
                _restore(model, config)
            raise
        self._models = after
        for name, model in before.items():
            if after.get(name) is not model:
                model.stop()


def _restore(model: ModelManager, config: ModelConfig) -> None:
    try:
        model.reconfigure(config)
    except UserError:  # its versions may have gone meanwhile; what is loaded is served on
        return
