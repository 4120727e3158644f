"""One loaded version of a model."""

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.ops import dismantle_graph


class Servable:
    """A SavedModel in a session of its own: the same loader and executor as TensorFlow Serving's.

    A session, and not `tf.saved_model.load`: its resources go when it is closed, while functions of an eager
    context stay for as long as the process lives, and a server loads versions for months.

    Args:
        directory: Directory that holds saved_model.pb.
        name: Name of the model.
        version: Number of the version.
        threads: Number of threads in each of TensorFlow's two pools, within and between operations; 0 lets it choose.

    Raises:
        OSError, tf.errors.OpError: If the SavedModel does not load.
    """

    def __init__(self, directory: str, name: str, version: int, threads: int = 0) -> None:
        self.name = name
        self.version = version
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        self._callables: dict[tuple[tuple[str, ...], tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._lock = threading.Lock()
        try:
            with self._session.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], directory)
        except BaseException as error:
            self.close()
            if isinstance(error, ValueError):  # how the loader says that the checkpoint is missing
                raise OSError(str(error)) from None
            raise
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)

    def run(self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        """Runs the graph once; may be called from many threads.

        Args:
            feeds: Arrays by tensor name, of exactly the tensors' types.
            fetches: Names of tensors.

        Returns:
            The arrays of `fetches`, in that order.

        Raises:
            tf.errors.OpError: As the graph does.
        """
        names = tuple(sorted(feeds))
        return self._callable(names, tuple(fetches))(*(feeds[name] for name in names))

    def close(self) -> None:
        """Frees the memory of the version; no request may be running."""
        self._callables.clear()  # each holds on to the session
        self._session.close()
        # A graph and its operations refer to each other: 18 MB a version stayed until Python looked for cycles, which
        # a server hardly ever does, and which would halt all its threads for half a second.
        dismantle_graph(self._session.graph)

    def _callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        with self._lock:
            if (feeds, fetches) not in self._callables:
                options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
                # Not Session.run: it casts a wrong type silently and refuses a wrong shape in words of its
                # own, where TensorFlow Serving hands the tensors to the graph as they came; the callable does
                # that.
                self._callables[feeds, fetches] = self._session._make_callable_from_options(options)
            return self._callables[feeds, fetches]
