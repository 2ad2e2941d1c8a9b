# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Holds the registers of every CUDA kernel, on every architecture given, against a committed budget.

Compiles the sources, together, for each architecture and reads what ptxas reports. Exit code 0: all within the budget, no spills
and no local memory; 1: something is not, named line by line; 2: the check itself could not be made; 77: skipped, as
the architectures have no numbers (native, all, ...).
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


class BudgetError(Exception):
    """The budget file, or the compiler's report, cannot be read."""


@dataclass(frozen=True)
class Usage:
    kernel: str  # demangled, without namespaces and arguments: router_kernel<float, 8>
    architecture: str  # 80, 90, 120, ...
    registers: int
    stack: int  # bytes of local memory
    spills: int  # bytes


def read_budget(text):
    """[(pattern, {architecture: registers})]. The first line names the architectures of each column."""
    columns, rows = None, []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        if columns is None:
            columns = [column.split(",") for column in line.split()[1:]]
            if not columns or not all(re.fullmatch(r"sm_\d+", name) for column in columns for name in column):
                raise BudgetError(f"line {number}: the first line is: kernel sm_80,sm_90 sm_86,sm_89 ...")
            continue
        fields = line.rsplit(maxsplit=len(columns))
        if len(fields) != len(columns) + 1 or not all(field.isdigit() for field in fields[1:]):
            raise BudgetError(f"line {number}: a kernel and {len(columns)} numbers are expected")
        limits = {name: int(limit) for column, limit in zip(columns, fields[1:]) for name in column}
        rows.append((fields[0].strip(), limits))
    if not rows:
        raise BudgetError("the budget is empty")
    return rows


def short_name(demangled):
    """`router_kernel<float, 8>` of the whole signature."""
    name = re.sub(r"^void ", "", demangled.replace("(anonymous namespace)::", ""))
    name = re.sub(r"\((?:pregate::kernels::Activation)\)(\d+)", r"\1", name)
    name = name.split("(")[0]
    return re.sub(r"\b(?:\w+::)+", "", name)


def read_report(report, architecture):
    """The usages in what `nvcc --resource-usage` prints, demangled."""
    usages = []
    pattern = re.compile(
        r"Compiling entry function '(?P<name>.+?)' for 'sm_\w+'"
        r".*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
        r".*?Used (?P<registers>\d+) registers", re.S)
    for match in pattern.finditer(report):
        usages.append(Usage(short_name(match["name"]), architecture, int(match["registers"]), int(match["stack"]),
                            int(match["stores"]) + int(match["loads"])))
    if len(usages) != report.count("Compiling entry function"):
        raise BudgetError("ptxas reports in a form that is not known here")
    return usages


def faults(usages, budget):
    """What is over, missing from the budget, or in it but not built; one line each."""
    found, used = [], set()
    for usage in usages:
        where = f"{usage.kernel} on sm_{usage.architecture}"
        if usage.stack or usage.spills:
            found.append(f"{where}: {usage.stack} B of local memory, {usage.spills} B of spills")
        row = next((row for row in budget if fnmatch.fnmatchcase(usage.kernel, row[0])), None)
        if row is None:
            found.append(f"{where}: {usage.registers} registers, but no line of the budget")
            continue
        used.add(row[0])
        limit = row[1].get(f"sm_{usage.architecture}")
        if limit is None:
            found.append(f"{where}: {usage.registers} registers, but the budget has no such architecture")
        elif usage.registers > limit:
            found.append(f"{where}: {usage.registers} registers, the budget allows {limit}")
    found += [f"budget line '{pattern}': no kernel of that name" for pattern, _ in budget if pattern not in used]
    return found


def compile_usages(nvcc, include, sources, architecture):
    """Of all sources, which are compiled together: half of the time goes into the toolkit's headers."""
    command = [nvcc, "-std=c++17", "-O3", "-DNDEBUG", "-I", include, f"-arch=sm_{architecture}", "-cubin",
               "--resource-usage", "-o", "/dev/null"]
    with tempfile.NamedTemporaryFile("w", suffix=".cu") as together:
        together.write("".join(f'#include "{os.path.abspath(source)}"\n' for source in sources))
        together.flush()
        command.append(together.name)
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise BudgetError(f"{' '.join(command)}\n{run.stderr}")
    demangled = subprocess.run(["c++filt"], input=run.stderr + run.stdout, capture_output=True, text=True, check=True)
    return read_report(demangled.stdout, architecture)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--include", required=True, help="the project's folder")
    parser.add_argument("--architectures", required=True, help="as CMAKE_CUDA_ARCHITECTURES: 80-real;120")
    parser.add_argument("--budget", required=True)
    parser.add_argument("--print", action="store_true", help="print every usage as well")
    parser.add_argument("sources", nargs="+")
    options = parser.parse_args(arguments)
    architectures = re.findall(r"(\d+[af]?)(?:-real)?(?:;|$)", options.architectures)
    if not architectures:
        print(f"SKIPPED: registers were NOT checked: architectures '{options.architectures}' have no numbers")
        return 77
    try:
        with open(options.budget, encoding="utf-8") as file:
            budget = read_budget(file.read())
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(compile_usages, options.nvcc, options.include, options.sources, architecture)
                    for architecture in architectures]
            usages = [usage for job in jobs for usage in job.result()]
    except (BudgetError, OSError, subprocess.SubprocessError) as error:
        print(f"register budget: cannot be checked: {error}", file=sys.stderr)
        return 2
    if options.print:
        for usage in sorted(usages, key=lambda usage: (usage.kernel, int(re.match(r"\d+", usage.architecture).group()))):
            print(f"{usage.kernel:60} sm_{usage.architecture:5} {usage.registers:4}")
    found = faults(usages, budget)
    print("\n".join(found) if found else f"{len(usages)} kernels on {', '.join(architectures)} are within the budget")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
