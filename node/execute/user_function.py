"""A user's own `module:function` as a skill: import it, read its hints, check and convert input and output.

Standard library only: it runs in the worker process, in the user's Python. How a function takes its input:

| its parameters                                  | input                                              |
|-------------------------------------------------|----------------------------------------------------|
| one `str` (others optional)                     | text; several files are joined                     |
| one `bytes` (others optional)                   | the bytes as they are                              |
| one dict, list or TypedDict                     | that JSON value                                    |
| anything else                                   | a JSON object with the parameters as its keys      |
"""

import asyncio
import base64
import contextvars
import difflib
import importlib
import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

ENVELOPE_KEYS = {"text", "files"}
METADATA_ATTRIBUTE = "__coalesced_skill__"
SCALARS = (str, int, float, bool, type(None))
EXAMPLE = 'write for example "def shout(text: str) -> str"'
_runner: asyncio.Runner | None = None


class InputError(Exception):
    """The input does not fit the function's parameters."""


class DeclarationError(Exception):
    """The function cannot be offered as a skill; the text says what to change."""


class Bound(NamedTuple):
    """A function that can be offered, and how it takes its input: "text", "bytes", "json" or "arguments"."""

    function: Callable[..., Any]
    name: str
    shape: str
    first: str
    hints: dict[str, Any]
    required: frozenset[str]
    returns: Any


def load(module: str, function: str) -> Bound:
    """Import `module` and bind `function`; DeclarationError says what is wrong with either."""
    name = f"{module}:{function}"
    target = getattr(_import(module), function, None)
    if target is None:
        names = [key for key, value in vars(sys.modules[module]).items() if inspect.isfunction(value)]
        near = difflib.get_close_matches(function, names, n=3) or sorted(names)[:5]
        raise DeclarationError(f"module {module!r} has no {function!r}; it has {', '.join(near) or 'no functions'}")
    if not inspect.isroutine(target) or inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise DeclarationError(f"{name} is not a plain function: {EXAMPLE}, or async def")
    try:
        hints = typing.get_type_hints(target)
    except Exception as error:
        raise DeclarationError(f"the type hints of {name} cannot be read: {type(error).__name__}: {error}") from error
    parameters = inspect.signature(target).parameters
    for parameter in parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise DeclarationError(f"parameter {parameter} of {name} cannot be filled by name: {EXAMPLE}")
        if parameter.name not in hints:
            raise DeclarationError(f"parameter {parameter.name!r} of {name} has no type: {EXAMPLE}")
    if "return" not in hints:
        raise DeclarationError(f"{name} does not say what it returns: {EXAMPLE}")
    return _bind(target, name, parameters, hints)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise DeclarationError(
                f"there is no module {module!r} in {Path.cwd()}: name it without .py, in the directory that holds it"
            ) from error
        raise DeclarationError(
            f"importing {module!r} failed: it needs {error.name!r}, which is not installed"
        ) from error
    except (Exception, SystemExit) as error:
        raise DeclarationError(f"importing {module!r} failed: {type(error).__name__}: {error}") from error


def _bind(target: Any, name: str, parameters: Any, hints: dict[str, Any]) -> Bound:
    returns = hints.pop("return")
    if not parameters:
        raise DeclarationError(f"{name} takes no input: {EXAMPLE}")
    required = frozenset(key for key, value in parameters.items() if value.default is inspect.Parameter.empty)
    first = next(iter(parameters))
    only_first = required <= {first}
    kind = hints[first]
    if only_first and kind in (str, bytes):
        shape = "text" if kind is str else "bytes"
    elif len(parameters) == 1 and _is_container(kind):
        shape = "json"
    else:
        shape = "arguments"
    for key, hint in hints.items():
        if not (shape == "bytes" and key == first) and not _is_supported(hint):
            raise DeclarationError(
                f"parameter {key!r} of {name} is {_show(hint)}, which JSON cannot carry: use str, bytes (alone), int, "
                "float, bool, list, dict, TypedDict, Literal or unions of these"
            )
    if returns is not bytes and (returns is type(None) or not _is_supported(returns)):
        raise DeclarationError(f"{name} returns {_show(returns)}: return str, bytes or a JSON value")
    return Bound(target, name, shape, first, hints, required, returns)


def describe(bound: Bound) -> dict[str, Any]:
    """What the daemon keeps about the function: metadata of `@skill`, media types, parameters, an example input."""
    metadata = getattr(bound.function, METADATA_ATTRIBUTE, None)
    document = inspect.getdoc(bound.function) or ""
    parameters = [
        {"name": key, "type": _show(hint), "required": key in bound.required} for key, hint in bound.hints.items()
    ]
    inputs = {"text": ["text/plain"], "bytes": ["application/octet-stream"]}.get(bound.shape, ["application/json"])
    example = {"text": "some text", "bytes": ""}.get(bound.shape)
    if example is None:
        values = {key: _example(hint) for key, hint in bound.hints.items() if key in bound.required}
        example = json.dumps(_example(bound.hints[bound.first]) if bound.shape == "json" else values)
    return {
        "label": metadata.label if metadata else None,
        "price_micro": metadata.price_micro if metadata else None,
        "unit": metadata.unit if metadata else "task",
        "caption": (metadata.caption if metadata else document.partition("\n")[0])[:120],
        "description": (metadata.description if metadata else document)[:4000],
        "is_async": inspect.iscoroutinefunction(bound.function),
        "shape": bound.shape,
        "input_media_types": inputs,
        "output_media_type": _output_media_type(bound.returns),
        "parameters": parameters,
        "example": example,
    }


def call(bound: Bound, payload: bytes, media_type: str) -> tuple[str, bytes]:
    """Run the function on `payload`: the media type and bytes of what it returned. InputError, or what it raises."""
    arguments = _arguments(bound, payload, media_type)
    if inspect.iscoroutinefunction(bound.function):
        value = _loop().run(bound.function(**arguments), context=contextvars.copy_context())
    else:
        value = bound.function(**arguments)
    if isinstance(value, bytes) and bound.returns is bytes:
        return "application/octet-stream", value
    if problem := mismatch(value, bound.returns, "the result"):
        raise TypeError(f"{bound.name} broke its own declaration: {problem}")
    if bound.returns is str:
        return "text/plain", str(value).encode()
    return "application/json", json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _loop() -> asyncio.Runner:
    """One event loop for the life of the process, so that a skill may keep clients and pools across tasks."""
    global _runner
    if _runner is None:
        _runner = asyncio.Runner()
    return _runner


def _arguments(bound: Bound, payload: bytes, media_type: str) -> dict[str, Any]:
    envelope = _envelope(payload, media_type)
    match bound.shape:
        case "text":
            text = _utf8(payload) if envelope is None else _joined(envelope)
            return {bound.first: text}
        case "bytes":
            return {bound.first: payload if envelope is None else _only_file(envelope)}
        case "json":
            value = _json(payload)
            _require(bound, mismatch(value, bound.hints[bound.first], bound.first))
            return {bound.first: value}
        case _:
            if envelope is not None and not ENVELOPE_KEYS & bound.hints.keys():
                payload = _only_file(envelope)
            value = _json(payload)
            if not isinstance(value, dict):
                _require(bound, f"the input is {_show(type(value))}, not a JSON object")
            if missing := sorted(bound.required - value.keys()):
                _require(bound, f"{missing[0]!r} is missing")
            if unknown := sorted(value.keys() - bound.hints.keys()):
                _require(bound, f"{unknown[0]!r} is not a parameter")
            for key, item in value.items():
                _require(bound, mismatch(item, bound.hints[key], key))
            return dict(value)


def _require(bound: Bound, problem: str) -> None:
    if problem:
        expected = ", ".join(f"{key}: {_show(hint)}" for key, hint in bound.hints.items())
        raise InputError(f"{problem}; expected {{{expected}}}, for example {describe(bound)['example']}")


def _envelope(payload: bytes, media_type: str) -> dict[str, Any] | None:
    if media_type != "application/json":
        return None
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value and value.keys() <= ENVELOPE_KEYS else None


def _files(envelope: dict[str, Any]) -> list[bytes]:
    try:
        return [
            file["text"].encode(errors="surrogatepass")
            if "text" in file
            else base64.b64decode(file["base64"], validate=True)
            for file in envelope.get("files", [])
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError('each of "files" is {"name": ..., "text": ...} or {"name": ..., "base64": ...}') from error


def _joined(envelope: dict[str, Any]) -> str:
    texts = [_utf8(data) for data in (_text(envelope), *_files(envelope))]
    return "\n\n".join(text for text in texts if text)


def _text(envelope: dict[str, Any]) -> bytes:
    # JSON may escape half a character (a lone surrogate), which is no text: whoever decodes these bytes refuses it.
    return str(envelope.get("text", "")).encode(errors="surrogatepass")


def _only_file(envelope: dict[str, Any]) -> bytes:
    files = _files(envelope) or [_text(envelope)]
    if len(files) != 1:
        raise InputError(f"this skill takes one file, got {len(files)}")
    return files[0]


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"this skill takes UTF-8 text: {error}") from error


def _json(payload: bytes) -> Any:
    try:
        value = json.loads(payload)
        if b"\\u" in payload:
            json.dumps(value, ensure_ascii=False).encode()  # an escaped half of a character is JSON but no text
        return value
    except (ValueError, RecursionError) as error:
        raise InputError(f"this skill takes JSON: {error}") from error


def mismatch(value: Any, hint: Any, path: str) -> str:
    """What is wrong with `value` as `hint`, with the place; empty when it fits. int is accepted for float."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    problem = f"{path} is {_show(type(value))}, not {_show(hint)}"
    if hint is Any or hint is object:
        return ""
    if origin is typing.Literal:
        return "" if any(value == item and type(value) is type(item) for item in inner) else problem
    if _is_union(hint):
        return "" if any(not mismatch(value, item, path) for item in inner) else problem
    if typing.is_typeddict(hint):
        return _typed_dict_mismatch(value, hint, path)
    base: Any = origin or hint
    if base is float:
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else problem
    if base is int:
        return "" if isinstance(value, int) and not isinstance(value, bool) else problem
    if not isinstance(base, type) or not isinstance(value, base):
        return problem
    if isinstance(value, list) and inner:
        items: list[Any] = list(value)
        return _first(mismatch(item, inner[0], f"{path}[{index}]") for index, item in enumerate(items))
    if isinstance(value, dict) and inner:
        return _first(mismatch(item, inner[1], f"{path}.{key}") for key, item in value.items())
    return ""


def _typed_dict_mismatch(value: Any, hint: Any, path: str) -> str:
    if not isinstance(value, dict):
        return f"{path} is {_show(type(value))}, not an object"
    hints = typing.get_type_hints(hint)
    if missing := sorted(hint.__required_keys__ - value.keys()):
        return f"{path}.{missing[0]} is missing"
    if unknown := sorted(value.keys() - hints.keys()):
        return f"{path}.{unknown[0]} is unknown"
    return _first(mismatch(item, hints[key], f"{path}.{key}") for key, item in value.items())


def _first(problems: Iterable[str]) -> str:
    return next((problem for problem in problems if problem), "")


def _is_union(hint: Any) -> bool:
    return isinstance(hint, type(int | str)) or typing.get_origin(hint) is typing.Union


def _is_container(hint: Any) -> bool:
    return typing.is_typeddict(hint) or (typing.get_origin(hint) or hint) in (dict, list)


def _is_supported(hint: Any) -> bool:
    inner = typing.get_args(hint)
    if hint is Any or hint is object or hint in SCALARS or typing.is_typeddict(hint):
        return True
    if typing.get_origin(hint) is typing.Literal:
        return all(isinstance(item, SCALARS) for item in inner)
    if (typing.get_origin(hint) or hint) is dict and inner and inner[0] is not str:
        return False
    return (_is_union(hint) or _is_container(hint)) and all(_is_supported(item) for item in inner)


def _output_media_type(returns: Any) -> str:
    return {str: "text/plain", bytes: "application/octet-stream"}.get(returns, "application/json")


def _example(hint: Any) -> Any:
    if typing.is_typeddict(hint):
        return {key: _example(item) for key, item in typing.get_type_hints(hint).items()}
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return inner[0]
    if _is_union(hint):
        return _example(inner[0])
    base = typing.get_origin(hint) or hint
    if base is list:
        return [_example(inner[0])] if inner else []
    if base is dict:
        return {"key": _example(inner[1])} if inner else {}
    return {str: "text", int: 1, float: 1.5, bool: True}.get(base)


def _show(hint: Any) -> str:
    if hint is type(None):
        return "null"
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")
