"""protobuf message classes from a description of their fields.

The classes of TensorFlow and TensorFlow Serving import TensorFlow whole, which takes seconds and hundreds of MB, only
to describe a few fields; code that protoc generates belongs to one major version of protobuf, and this project runs
with two. So the messages that are needed without TensorFlow are described here, with the numbers of the original ones.
Fields that are not described are kept and ignored, as protobuf does.
"""

from collections.abc import Mapping

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")
}

Fields = Mapping[str, tuple[int, str]]
"""Number and type by the name of the field. A type is that of a .proto file: ``bytes``, ``repeated float``,
``map<string, Feature>``, or the name of another message."""


def message_types(
    package: str, messages: Mapping[str, Fields], oneofs: Mapping[str, str] | None = None
) -> dict[str, type]:
    """Makes message classes in a descriptor pool of their own, so that TensorFlow's may live in the same process.

    >>> Point = message_types("example", {"Point": {"x": (1, "float"), "labels": (2, "repeated string")}})["Point"]
    >>> Point.FromString(Point(x=0.5, labels=["a"]).SerializeToString()).labels
    ['a']

    Args:
        package: The messages' package, a name that no other call has.
        messages: The fields of each message, by the message's name.
        oneofs: The name of the oneof that all fields of a message belong to, by the message's name.

    Returns:
        The class of each message, by the message's name.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(package, message, field, number, kind)
        if oneof := (oneofs or {}).get(name):
            message.oneof_decl.add(name=oneof)
            for field in message.field:
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _add_field(
    package: str, message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str
) -> None:
    if kind.startswith("map<string, "):
        # A map is a repeated message of key and value.
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(package, entry, "key", 1, "string")
        _add_field(package, entry, "value", 2, kind.removeprefix("map<string, ").removesuffix(">"))
        kind = f"repeated {message.name}.{entry.name}"
    *repeated, kind = kind.split()
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"
