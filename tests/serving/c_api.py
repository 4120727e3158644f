"""Loads SavedModels with the C++ loader that TensorFlow Serving uses, and runs them, by ctypes alone.

A script for processes of their own (`run_c_api`): it imports neither TensorFlow's Python nor this project.
Reads a JSON job from standard input and writes a JSON answer: the outputs and the resident bytes after each
load-run-unload, or the error that the loader or the run ended with.
"""

import ctypes
import json
import os
import subprocess
import sys

STRING, FLOAT = 7, 1
TSTRING_BYTES = 24


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class CApiError(Exception):
    """A TF_Status that is not OK."""


class Library:
    """TensorFlow's C API."""

    POINTERS = (
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_LoadSessionFromSavedModel",
        "TF_AllocateTensor",
        "TF_TensorData",
        "TF_GraphOperationByName",
    )

    def __init__(self, directory: str) -> None:
        names = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
        for name in names:
            self._library = ctypes.CDLL(os.path.join(directory, name), ctypes.RTLD_GLOBAL)
        for name in self.POINTERS:
            getattr(self._library, name).restype = ctypes.c_void_p
        self._library.TF_Message.restype = ctypes.c_char_p
        self._library.TF_TensorByteSize.restype = ctypes.c_size_t
        self._library.TF_Dim.restype = ctypes.c_int64

    def __getattr__(self, name: str):
        function = getattr(self._library, name)

        def call(*arguments):
            wide = (
                ctypes.c_void_p(a) if isinstance(a, int) and not isinstance(a, bool) else a for a in arguments
            )
            return function(*wide)

        return call

    def check(self, status: int) -> None:
        if code := self.TF_GetCode(status):
            raise CApiError(f"{code}: {self.TF_Message(status).decode()}")

    def load(self, directory: str) -> tuple[int, int]:
        """Session and graph."""
        status, graph, options = self.TF_NewStatus(), self.TF_NewGraph(), self.TF_NewSessionOptions()
        tags = (ctypes.c_char_p * 1)(b"serve")
        session = self.TF_LoadSessionFromSavedModel(
            options, None, directory.encode(), tags, ctypes.c_int(1), graph, None, status
        )
        self.TF_DeleteSessionOptions(options)
        try:
            self.check(status)
        except CApiError:
            self.TF_DeleteGraph(graph)
            raise
        finally:
            self.TF_DeleteStatus(status)
        return session, graph

    def unload(self, session: int, graph: int) -> None:
        status = self.TF_NewStatus()
        self.TF_CloseSession(session, status)
        self.check(status)
        self.TF_DeleteSession(session, status)
        self.check(status)
        self.TF_DeleteGraph(graph)
        self.TF_DeleteStatus(status)

    def run(self, session: int, graph: int, feed: str, rows: list[bytes], fetch: str) -> bytes:
        """The bytes of one output for string [len(rows)]."""
        dims = (ctypes.c_int64 * 1)(len(rows))
        size = ctypes.c_size_t(TSTRING_BYTES * len(rows))
        tensor = self.TF_AllocateTensor(ctypes.c_int(STRING), dims, ctypes.c_int(1), size)
        data = self.TF_TensorData(tensor)
        for index, row in enumerate(rows):
            self.TF_StringInit(data + TSTRING_BYTES * index)
            self.TF_StringCopy(data + TSTRING_BYTES * index, row, ctypes.c_size_t(len(row)))
        source, target = self._output(graph, feed), self._output(graph, fetch)
        given, answer = (ctypes.c_void_p * 1)(tensor), (ctypes.c_void_p * 1)()
        status, one = self.TF_NewStatus(), ctypes.c_int(1)
        self.TF_SessionRun(
            session, None, source, given, one, target, answer, one, None, ctypes.c_int(0), None, status
        )
        self.TF_DeleteTensor(tensor)
        self.check(status)
        self.TF_DeleteStatus(status)
        content = ctypes.string_at(self.TF_TensorData(answer[0]), self.TF_TensorByteSize(answer[0]))
        self.TF_DeleteTensor(answer[0])
        return content

    def _output(self, graph: int, name: str):
        operation, _, index = name.partition(":")
        return (Output * 1)(Output(self.TF_GraphOperationByName(graph, operation.encode()), int(index)))


def resident_bytes() -> int:
    """Of this process, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    job = json.load(sys.stdin)
    library = Library(job["library"])
    rows = [bytes.fromhex(row) for row in job["rows"]]
    answer = {"outputs": [], "resident": [], "error": None}
    try:
        for _ in range(job["loads"]):
            session, graph = library.load(job["model"])
            answer["outputs"].append(library.run(session, graph, job["feed"], rows, job["fetch"]).hex())
            library.unload(session, graph)
            answer["resident"].append(resident_bytes())
    except CApiError as failure:
        answer["error"] = str(failure)
    answer["modules"] = sorted({name.partition(".")[0] for name in sys.modules})
    json.dump(answer, sys.stdout)


def run_c_api(model_dir: str, signature: str, rows: list[bytes], output: str, loads: int = 1) -> dict:
    """Loads a model in a process of its own; see this module for the answer."""
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    with open(os.path.join(model_dir, "saved_model.pb"), "rb") as file:
        definition = SavedModel.FromString(file.read()).meta_graphs[0].signature_def[signature]
    job = {
        "library": os.path.dirname(tf.__file__),
        "model": model_dir,
        "feed": definition.inputs["examples"].name,
        "fetch": definition.outputs[output].name,
        "rows": [row.hex() for row in rows],
        "loads": loads,
    }
    done = subprocess.run(
        [sys.executable, "-I", __file__],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
