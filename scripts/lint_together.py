#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what clang-tidy is given by scripts/check_style.sh lint.

    scripts/lint_together.py FOLDERS OUT

FOLDERS: those of the product, "models|sim". Into OUT go a source for each group of theirs that includes the group's, and
compile_commands.json for them; their names are printed. What the preset ci compiles together is one group, and all of
sim is one. After a build of that preset: a source that it does not compile is an error.
"""

import collections
import json
import pathlib
import re
import shlex
import subprocess
import sys

product = re.compile(f"^({sys.argv[1]})/.*[.](cpp|cxx)$")
out, root, build = pathlib.Path(sys.argv[2]), pathlib.Path.cwd(), pathlib.Path("build/ci").resolve()
if not (build / "compile_commands.json").exists():
    sys.exit("error: nothing to lint in build/ci: build the preset ci first")
tracked = subprocess.run(["git", "ls-files", "*.cpp"], check=True, capture_output=True, text=True).stdout.split()
not_yet = {str(root / name) for name in tracked if product.match(name)}

groups = collections.defaultdict(dict)  # by name: its sources, each with the words of its compile command
for entry in json.loads((build / "compile_commands.json").read_text()):
    file = pathlib.Path(entry["file"])
    is_several = file.is_relative_to(build)  # written there, to include them
    path = file.relative_to(build if is_several else root)
    if not product.match(str(path)):
        continue
    group = "sim" if is_several and path.parts[0] == "sim" else re.sub(r"\W", "_", str(path))
    words = [word for word in shlex.split(entry["command"]) if word != str(file)]
    sources = re.findall(r'^#include "(.*)"', file.read_text(), re.M) if is_several else [str(file)]
    for source in sources:
        if source in not_yet:  # several targets may compile it
            not_yet.remove(source)
            groups[group][source] = words
if not_yet:
    sys.exit(f"error: build/ci does not compile {min(not_yet)}: build the preset ci first")

commands = []
for group, sources in sorted(groups.items(), key=lambda one: -len(one[1])):  # the longest first
    together = out / f"{group}.cpp"
    together.write_text("".join(f'#include "{source}"\n' for source in sources))
    words = list(next(iter(sources.values())))
    words += [word for others in sources.values() for word in others if word.startswith("-D") and word not in words]
    commands.append({"directory": str(build), "file": str(together), "arguments": [*words, str(together)]})
    print(together)
(out / "compile_commands.json").write_text(json.dumps(commands))
print(sum(map(len, groups.values())), "files, at", len(groups), "times", file=sys.stderr)
