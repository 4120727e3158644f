"""The messages tf.train.Example and tf.train.SequenceExample, without TensorFlow.

Importing TensorFlow takes seconds, and its SequenceExample builds one Python object a frame. These messages
have the same wire format (tensorflow/core/example/example.proto and feature.proto) with one difference: in
`SequenceExample` a feature list is left as the bytes of its `FeatureList`, which can be read as one array.
"""

from trainer.base.message_types import message_types

_TYPES = message_types(
    "yt8m",
    {
        "BytesList": {"value": (1, "repeated bytes")},
        "FloatList": {"value": (1, "repeated float")},
        "Int64List": {"value": (1, "repeated int64")},
        "Feature": {
            "bytes_list": (1, "BytesList"),
            "float_list": (2, "FloatList"),
            "int64_list": (3, "Int64List"),
        },
        "Features": {"feature": (1, "map<string, Feature>")},
        "FeatureList": {"feature": (1, "repeated Feature")},
        "FeatureLists": {"feature_list": (1, "map<string, bytes>")},
        "Example": {"features": (1, "Features")},
        "SequenceExample": {"context": (1, "Features"), "feature_lists": (2, "FeatureLists")},
    },
    oneofs={"Feature": "kind"},
)

Example = _TYPES["Example"]
Features = _TYPES["Features"]
SequenceExample = _TYPES["SequenceExample"]
FeatureList = _TYPES["FeatureList"]
Feature = _TYPES["Feature"]
