#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what clang-tidy is given by scripts/check_style.sh lint.

    scripts/lint_together.py FOLDERS OUT

FOLDERS: those of the product, "models|sim". Into OUT go a few sources that include those of the product, and
compile_commands.json for them; their names are printed. Most time of linting is the headers of libraries, parsed and walked
once for each source that is given: so there are two, one for each core, and a third, fourth, ... for those files alone
whose private names are another's. After a build of the preset ci: a source that it does not compile is an error.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

product = re.compile(f"^({sys.argv[1]})/.*[.](cpp|cxx)$")
out, root, build = pathlib.Path(sys.argv[2]), pathlib.Path.cwd(), pathlib.Path("build/ci").resolve()
if not (build / "compile_commands.json").exists():
    sys.exit("error: nothing to lint in build/ci: build the preset ci first")
tracked = subprocess.run(["git", "ls-files", "*.cpp"], check=True, capture_output=True, text=True).stdout.split()
not_yet = {str(root / name) for name in tracked if product.match(name)}

sources = {}  # each with the words of its compile command
for entry in json.loads((build / "compile_commands.json").read_text()):
    file = pathlib.Path(entry["file"])
    is_several = file.is_relative_to(build)  # written there, to include them
    if not product.match(str(file.relative_to(build if is_several else root))):
        continue
    words = [word for word in shlex.split(entry["command"]) if word != str(file)]
    for source in re.findall(r'^#include "(.*)"', file.read_text(), re.M) if is_several else [str(file)]:
        if source in not_yet:  # several targets may compile it
            not_yet.remove(source)
            sources[source] = words
if not_yet:
    sys.exit(f"error: build/ci does not compile {min(not_yet)}: build the preset ci first")

private = re.compile(r"^namespace \{\n(.*?)^\}  // namespace$", re.M | re.S)
# At the beginning of a line: `using Name =`, or the name of what is declared, before what follows a name. One name too
# many costs a little time; one that is missed is a compile error that says which.
alias = re.compile(r"^using (\w+) = .*;$", re.M)
declared = re.compile(r"^(?!namespace|return|using|#|//|\}|\s)(?:[^\n(={;]*?[\s*&])?(\w+)\s*(?:\(|=|\{|;|\[|:[^:])", re.M)


def private_names(source: str) -> dict[str, str]:
    """What is declared in its unnamed namespaces, and main: with the declaration, where the same may stand twice."""
    text = pathlib.Path(source).read_text()
    names = {"main": source} if re.search(r"^int main\(", text, re.M) else {}
    for body in private.findall(text):
        names |= {found[1]: found[0] for found in alias.finditer(body)}
        names |= {name: source for name in declared.findall(body) if name not in ("final", "operator")}
    return names


@dataclass
class Group:
    sources: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    bytes: int = 0

    def takes(self, names: dict[str, str]) -> bool:
        return all(self.names.get(name, what) == what for name, what in names.items())


groups = [Group(), Group()]
for source in sorted(sources):
    names = private_names(source)
    free = [group for group in sorted(groups[:2], key=lambda one: one.bytes) + groups[2:] if group.takes(names)]
    if not free:
        groups.append(Group())
    group = free[0] if free else groups[-1]
    group.sources.append(source)
    group.names |= names
    group.bytes += pathlib.Path(source).stat().st_size


def arguments(files: list[str]) -> list[str]:
    """Of the first, and the macros and folders of headers of all others."""
    words = list(sources[files[0]])
    for file in files:
        own = sources[file]
        for word, after in zip(own, [*own[1:], ""]):
            more = [word, after] if word in ("-isystem", "-I") else [word] if word.startswith(("-D", "-I")) else []
            if more and (more[-1] not in words):
                words += more
    return words


commands = []
for number, group in enumerate(groups):
    together = out / f"together_{number}.cpp"
    together.write_text("".join(f'#include "{source}"\n' for source in group.sources))
    commands.append({"directory": str(build), "file": str(together), "arguments": [*arguments(group.sources), str(together)]})
    print(together)
(out / "compile_commands.json").write_text(json.dumps(commands))
print(len(sources), "files, at", len(groups), "times", file=sys.stderr)
