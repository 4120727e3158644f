"""The numbers of the YouTube-8M 2018 (version 2) data set that everything else is built on.

Source: the paper, section 1, and the YouTube-8M starter code's readers.
"""

NUM_CLASSES = 3862
"""V: labels run from 0 to 3861."""

ANY_CLASSES = 2**31
"""In place of V where labels are not looked at, or were checked before: every label is below it."""

NUM_MIXTURES = 5
"""M: experts a class in the mixture of experts (without the dummy expert)."""

RGB_SIZE = 1024
"""Bytes of one frame's visual feature."""

AUDIO_SIZE = 128
"""Bytes of one frame's audio feature."""

FRAME_SIZE = RGB_SIZE + AUDIO_SIZE
"""D: one frame is rgb ++ audio."""

MAX_FRAMES = 300
"""T: longer videos are cut to this many frames."""

TOP_K = 20
"""Labels a video that count in GAP and that a server answers."""

MIN_EVAL_VIDEOS = 20
"""Least videos of a split that measures: of fewer, one video more or less is worth 5 % of Hit@1 and says nothing."""
