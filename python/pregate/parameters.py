# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of parts of one's own: arguments of their constructors."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pregate.errors import InputError

Described = tuple[str, "bool | int | float | str", str, float | None, float | None, list[str]]
"""Name, default, help, least, most, choices."""


@dataclass(frozen=True)
class Parameter:
    """What is said of a parameter, in the annotation of the constructor's argument.

    >>> @pg.eviction("mine")
    ... class Mine:
    ...     def __init__(self, decay: Annotated[float, pg.Parameter("kept of a count", least=0, most=1)] = 0.99): ...
    """

    help: str = ""
    """A line."""
    least: float | None = None
    """The least value that it may have; None: any."""
    most: float | None = None
    """The largest; None: any."""


def described(made: Callable[..., Any], where: str) -> list[Described]:
    """The arguments of a constructor that are parameters: those whose default is a truth value, a number or a text.

    Arguments with another default, or whose name begins with '_', are left at it.

    Raises:
        InputError: an argument without a default, or an annotation that says something that cannot be.

    """
    try:
        arguments = inspect.signature(made).parameters.values()
    except ValueError:  # of a class that is no Python
        return []
    return [_described(each, made, where) for each in arguments if _is_parameter(each, where)]


def _is_parameter(argument: inspect.Parameter, where: str) -> bool:
    if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
        return False
    if argument.default is argument.empty:
        raise InputError(
            where,
            f"its argument '{argument.name}' has no default",
            f"give it one, {argument.name}=…: what a run that does not say has",
        )
    is_value = isinstance(argument.default, bool | int | float | str)
    return is_value and argument.kind is not argument.POSITIONAL_ONLY and not argument.name.startswith("_")


def _described(argument: inspect.Parameter, made: Callable[..., Any], where: str) -> Described:
    kind = _annotation(argument, made, where)
    said = Parameter()
    if typing.get_origin(kind) is typing.Annotated:
        kind, *more = typing.get_args(kind)
        said = next((each for each in more if isinstance(each, Parameter)), said)
    default: bool | int | float | str = argument.default
    if kind is float and type(default) is int:
        default = float(default)
    if kind in (bool, int, float, str) and type(default) is not kind:
        raise InputError(
            f"{where}, argument '{argument.name}'", f"is said to be {kind.__name__}, and its default is {default!r}"
        )
    choices = list(typing.get_args(kind)) if typing.get_origin(kind) is Literal else []
    if not all(isinstance(each, str) for each in choices):
        raise InputError(f"{where}, argument '{argument.name}'", "chooses between values that are no texts")
    return argument.name, default, said.help or f"of {where}", said.least, said.most, choices


def _annotation(argument: inspect.Parameter, made: Callable[..., Any], where: str) -> Any:
    """As an object; as a text, which ``from __future__ import annotations`` makes of it, it is evaluated."""
    if not isinstance(argument.annotation, str):
        return argument.annotation
    module = sys.modules.get(made.__module__)
    names: Mapping[str, Any] = {} if module is None else vars(module)
    try:
        return eval(argument.annotation, dict(names))
    except Exception as error:
        raise InputError(
            f"{where}, argument '{argument.name}'",
            f"its annotation cannot be read: {error}",
            "what it names must be known in its module",
        ) from error
