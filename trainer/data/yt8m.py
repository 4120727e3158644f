"""The constants of the YouTube-8M data set, edition of 2018 (version 2).

Source: the paper, section 1, and the YouTube-8M starter code's readers.
"""

NUM_CLASSES = 3862
"""V: labels run from 0 to 3861."""

ANY_CLASSES = 2**31
"""Takes the place of V where labels are not looked at, or were checked before: every label is below it."""

NUM_MIXTURES = 5
"""M: number of experts of each class in the mixture of experts, the dummy expert aside."""

RGB_SIZE = 1024
"""Bytes of the visual feature of a frame."""

AUDIO_SIZE = 128
"""Bytes of the audio feature of a frame."""

FRAME_SIZE = RGB_SIZE + AUDIO_SIZE
"""D: bytes of a frame, which are those of rgb and then those of audio."""

MAX_FRAMES = 300
"""Largest T: of longer videos the first 300 frames are used."""

CODE_SCALE = 4 / 255
CODE_OFFSET = 4 / 512 - 2
"""Features are stored as bytes: byte q stands for the number q * CODE_SCALE + CODE_OFFSET, from -1.992 to 2.008."""

TOP_K = 20
"""Number of classes of each video that count in GAP, and that a server answers."""

MIN_EVAL_VIDEOS = 20
"""Least number of videos to measure on: with fewer, a single video is worth more than 5 % of Hit@1."""
