"""The messages tf.train.Example and tf.train.SequenceExample, without TensorFlow.

Importing TensorFlow takes seconds, and its SequenceExample builds one Python object a frame. These messages
have the same wire format (tensorflow/core/example/example.proto and feature.proto) with one difference: in
`SequenceExample` a feature list is left as the bytes of its `FeatureList`, which can be read as one array.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "yt8m"
_Field = descriptor_pb2.FieldDescriptorProto


def _message(
    file: descriptor_pb2.FileDescriptorProto, name: str, *fields: tuple[str, int, str]
) -> descriptor_pb2.DescriptorProto:
    """Adds a message; a field is (name, number, type), type "[repeated ]bytes|float|int64|<message>"."""
    message = file.message_type.add(name=name)
    for field_name, number, kind in fields:
        _add_field(message, field_name, number, kind)
    return message


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> _Field:
    *repeated, type_name = kind.split()
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    scalar = {"bytes": _Field.TYPE_BYTES, "string": _Field.TYPE_STRING, "float": _Field.TYPE_FLOAT}
    scalar["int64"] = _Field.TYPE_INT64
    if type_name in scalar:
        field.type = scalar[type_name]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{type_name}"
    return field


def _map(file: descriptor_pb2.FileDescriptorProto, name: str, field: str, value: str) -> None:
    """Adds a message with one field 1, map<string, value>."""
    message = file.message_type.add(name=name)
    entry = message.nested_type.add(name=field.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    _add_field(entry, "key", 1, "string")
    _add_field(entry, "value", 2, value)
    _add_field(message, field, 1, f"repeated {name}.{entry.name}")


def _build() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="yt8m/example.proto", package=_PACKAGE, syntax="proto3")
    _message(file, "BytesList", ("value", 1, "repeated bytes"))
    _message(file, "FloatList", ("value", 1, "repeated float"))
    _message(file, "Int64List", ("value", 1, "repeated int64"))
    feature = _message(
        file,
        "Feature",
        ("bytes_list", 1, "BytesList"),
        ("float_list", 2, "FloatList"),
        ("int64_list", 3, "Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    _map(file, "Features", "feature", "Feature")
    _message(file, "FeatureList", ("feature", 1, "repeated Feature"))
    _map(file, "FeatureLists", "feature_list", "bytes")
    _message(file, "Example", ("features", 1, "Features"))
    _message(file, "SequenceExample", ("context", 1, "Features"), ("feature_lists", 2, "FeatureLists"))
    # A pool of our own: TensorFlow registers its messages in the default one.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _build()


def _get(name: str) -> type:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Example = _get("Example")
Features = _get("Features")
SequenceExample = _get("SequenceExample")
FeatureList = _get("FeatureList")
Feature = _get("Feature")
