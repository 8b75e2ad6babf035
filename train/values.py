"""What a configuration's fields are made of where YAML and flags have written something near it."""

PAIRS = {"size_schedule": ("[epoch, pixels]", (int, int)), "least_recall": ("[class, recall]", (str, float))}


class ConfigError(ValueError):
    """A configuration that can't be trained; the message names the field, its value and what is allowed."""


def coerce(name, value, declared):
    """YAML and flags have lists and whole numbers where the dataclass has tuples and floats."""
    kind, default = str(declared.type), declared.default
    if value is False and declared.type is str:
        value = "no"  # YAML reads a bare `no` as false
    if value == "none" and "None" in kind:
        value = None  # as the help texts have it
    if isinstance(value, str) and kind.startswith("tuple[str"):
        value = [value]
    try:
        if value is None:
            if "None" not in kind:
                raise ConfigError(f"{name}: needs a value")
            return None
        if "tuple" in kind:
            if isinstance(value, str):
                raise ConfigError(f"{name}: {value!r} is no list")
            length = len(default) if isinstance(default, tuple) and default else None
            if name in PAIRS:
                return pairs(name, value)
            value = tuple(value)
            if length and len(value) != length:
                raise ConfigError(f"{name}: {list(value)} should hold {length} values")
            if "int" in kind:
                return tuple(whole(name, one) for one in value)
            return tuple(map(float if "float" in kind else str, value))
        if "bool" in kind:
            if not isinstance(value, bool):
                raise ConfigError(f"{name}: {value!r} is neither true nor false")
            return value
        if "int" in kind:
            return whole(name, value)
        return float(value) if "float" in kind else str(value)
    except (TypeError, ValueError, OverflowError) as error:  # the last: an infinite number as a whole one
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{name}: {value!r} is not a value of type {kind}") from None


def pairs(name, value):
    """A tuple of pairs, each as `PAIRS[name]` has them."""
    (said, kinds), value = PAIRS[name], tuple(tuple(one) for one in value)
    if any(len(one) != 2 for one in value):
        raise ConfigError(f"{name}: {[list(one) for one in value]} should hold pairs of {said}")
    return tuple(
        tuple(whole(name, part) if kind is int else kind(part) for kind, part in zip(kinds, one, strict=True))
        for one in value
    )


def whole(name, value):
    if float(value) != int(value):
        raise ConfigError(f"{name}: {value!r} is no whole number")
    return int(value)
