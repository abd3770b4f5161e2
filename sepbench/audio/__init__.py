"""Reads and writes audio files, and resamples; the only package that deals with codecs.

Samples are float32 ``(channels, samples)`` everywhere, full scale is 1.
"""

from sepbench.audio.encode import BIT_DEPTHS, Writer, check_format
from sepbench.audio.encoders import DEFAULT_BIT_DEPTH
from sepbench.audio.names import (
    SUFFIXES,
    Found,
    distinct_track_name,
    find_songs,
    folder_name,
    path_hash,
    safe_name,
    track_name,
    track_names,
)
from sepbench.audio.reader import Audio, AudioInfo, Reader, blocks, info, read
from sepbench.audio.resampling import StreamResampler, resample, resampled_length
from sepbench.audio.sound_mark import sound_mark
from sepbench.audio.tags import Tags, read_tags

__all__ = [
    "BIT_DEPTHS",
    "DEFAULT_BIT_DEPTH",
    "SUFFIXES",
    "Audio",
    "AudioInfo",
    "Found",
    "Reader",
    "StreamResampler",
    "Tags",
    "Writer",
    "blocks",
    "check_format",
    "distinct_track_name",
    "find_songs",
    "folder_name",
    "info",
    "path_hash",
    "read",
    "read_tags",
    "resample",
    "resampled_length",
    "safe_name",
    "sound_mark",
    "track_name",
    "track_names",
]
