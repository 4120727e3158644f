"""TensorFlow Serving's messages of the batching and the monitoring file, which tensorflow-serving-api leaves out.

Field names, numbers and types are those of session_bundle_config.proto and monitoring_config.proto in 2.16.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_FILE = "tests/k8s/serving.proto"
_PACKAGE = "yt8m.tests"


def _wrapper(kind: type) -> dict[str, object]:
    return {"type": _Field.TYPE_MESSAGE, "type_name": f".{kind.DESCRIPTOR.full_name}"}


_INT64, _TEXT, _BOOL = map(
    _wrapper, (wrappers_pb2.Int64Value, wrappers_pb2.StringValue, wrappers_pb2.BoolValue)
)

_MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": (1, _INT64),
        "batch_timeout_micros": (2, _INT64),
        "max_enqueued_batches": (3, _INT64),
        "num_batch_threads": (4, _INT64),
        "thread_pool_name": (5, _TEXT),
        "allowed_batch_sizes": (6, {"type": _Field.TYPE_INT64, "label": _Field.LABEL_REPEATED}),
        "pad_variable_length_inputs": (7, {"type": _Field.TYPE_BOOL}),
        "enable_large_batch_splitting": (8, _BOOL),
        "max_execution_batch_size": (9, _INT64),
    },
    "PrometheusConfig": {
        "enable": (1, {"type": _Field.TYPE_BOOL}),
        "path": (2, {"type": _Field.TYPE_STRING}),
    },
    "MonitoringConfig": {
        "prometheus_config": (1, {"type": _Field.TYPE_MESSAGE, "type_name": f".{_PACKAGE}.PrometheusConfig"})
    },
}


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.add(**{"name": field, "number": number, "label": _Field.LABEL_OPTIONAL, **kind})
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _pool()


def _message(name: str) -> type:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


BatchingParameters = _message("BatchingParameters")
MonitoringConfig = _message("MonitoringConfig")
