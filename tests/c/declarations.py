"""The functions that the installed headers declare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEADERS = ("cxsink.h", "cxsink_simulator.h")


@dataclass(frozen=True)
class Parameter:
    type: str
    name: str

    @property
    def is_pointer(self) -> bool:
        return self.type.endswith("*") or self.type.endswith("_fn")


@dataclass(frozen=True)
class Function:
    type: str
    name: str
    parameters: tuple[Parameter, ...]


def functions(include: Path) -> list[Function]:
    found = []
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/|//[^\n]*|^#.*?(?<!\\)$", "", (include / header).read_text(), flags=re.S | re.M)
        text = re.sub(r"typedef[^;{]*\(\*[^;]*;", "", text)
        for result, name, arguments in re.findall(r"([\w \n]+[ *])(cxsink_\w+)\(([^)]*)\);", text):
            result = re.sub(r".*[;}]|extern", "", result, flags=re.S)
            found.append(Function(" ".join(result.split()), name, tuple(parameters(arguments))))
    return found


def parameters(arguments: str) -> list[Parameter]:
    if arguments.strip() == "void":
        return []
    found = []
    for argument in arguments.split(","):
        parts = re.fullmatch(r"\s*(.*?)(\w+)\s*", argument, re.S)
        assert parts, argument
        found.append(Parameter(" ".join(parts[1].split()), parts[2]))
    return found
