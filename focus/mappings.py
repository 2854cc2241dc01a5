"""Frozen mappings that differ from others in a key or two. It knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def without(mapping: Mapping[K, V], *keys: K) -> Mapping[K, V]:
    """The mapping less some keys."""
    return MappingProxyType({key: value for key, value in mapping.items() if key not in keys})


def put(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    """The mapping with one value changed or added."""
    return MappingProxyType({**mapping, key: value})
