#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Holds `pregate advise` against settings that others reported (pairs.toml, which has the gates).

  check.py PREGATE            run all pairs; exit 1 where a verdict is not that of the page
  check.py PREGATE --write    write docs/validation/advise.md
  check.py PREGATE --only T   only pairs whose name contains T (writes nothing)

The page is written by this program alone. A gate that fails is a row of it; what is known of why stands in reasons.toml
beside this file, by pair and setting.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "validation" / "advise.md"
ROUNDING = 1e-3


def answer(pregate, words):
    """What the program writes to --json."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "answer.json"
        done = subprocess.run([pregate, *words, "--json", str(path)], capture_output=True, text=True)
        if not path.exists():
            raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")
        return json.loads(path.read_text())


def scenario(pair, more_sets=()):
    words = ["--model", pair["model"], "--machine", pair["machine"], "--weights", pair["weights"],
             "--prompt", str(pair["prompt"]), "--output", str(pair["output"])]
    if "host" in pair:
        words += ["--host", pair["host"]]
    for each in [*pair.get("set", []), *more_sets]:
        words += ["--set", each]
    return words


def simulated(pregate, pair, reported):
    words = ["simulate", *scenario(pair, reported.get("set", [])), "--policy", reported["policy"]]
    if "software" in reported:
        words += ["--software", reported["software"]]
    return answer(pregate, words)["results"][0]


def verdicts(pregate, pair):
    """The advice, and of each reported setting what was predicted and whether the gates hold."""
    best = answer(pregate, ["advise", *scenario(pair)])["machines"][0]["best"]
    rows = []
    for reported in pair["reported"]:
        result = simulated(pregate, pair, reported)
        decodes = "decode_tok_s" in reported
        measured = reported["decode_tok_s" if decodes else "request_tok_s"]
        key = "decode_tokens_per_s" if decodes else "tokens_per_s"
        least, most = result["confidence"][key + "_range"]
        rows.append({
            "setting": reported["setting"], "source": reported["source"], "measured": measured,
            "per": "" if decodes else " over the request", "predicted": result[key], "least": least, "most": most,
            "as_fast": best["decode_tokens_per_s"] >= (1 - ROUNDING) * result["decode_tokens_per_s"],
            "in_range": least <= measured <= most,
        })
    return best, rows


def digits(value):
    return f"{value:.3g}"


def verdict(holds):
    return "pass" if holds else "**FAIL**"


def page(answers, reasons):
    rows = [row for _, _, of_pair in answers for row in of_pair]
    lines = [
        "# Advice against what others reported", "",
        "`validation/advise/check.py` asks `pregate advise` about machines and models of which somebody reported how he ran",
        "them and how fast that was, and simulates the reported settings. It writes this page, and is a test: verdicts that are",
        "not those below fail it. The gates were written down before the first run (`validation/advise/pairs.toml`):", "",
        "- **as fast**: the best setting that can be run is predicted to be at least as fast while it answers as the reported one;",
        "- **in range**: the reported rate lies in the range printed with its predicted rate.", "",
        f"As fast: {sum(r['as_fast'] for r in rows)} of {len(rows)} settings. In range: "
        f"{sum(r['in_range'] for r in rows)} of {len(rows)}, on {len(answers)} pairs. Nobody ran what was recommended on these",
        "machines: that it is as fast is the simulator's word, for both. Ranges are made of the errors of published cases, and",
        "most of these rows are rows of such cases ([README](README.md)): that they lie in them is a check of the program, not a",
        "test of the ranges; only Laguna-XS.2 and the streamed DeepSeek-V2-Lite are of no case that ranges rest on.", "",
        "| machine, model | recommended | tokens/s | reported setting | reported | predicted | as fast | in range |",
        "|---|---|---|---|---|---|---|---|",
    ]
    failed = []
    for pair, best, of_pair in answers:
        least, most = best["decode_tokens_per_s_range"]
        advice = f"`{best['command']}`"
        for row in of_pair:
            lines.append(
                f"| {pair['name']} | {advice} | {digits(best['decode_tokens_per_s'])} ({digits(least)} - {digits(most)}) "
                f"| {row['setting']} ({row['source']}) | {digits(row['measured'])}{row['per']} "
                f"| {digits(row['predicted'])} ({digits(row['least'])} - {digits(row['most'])}) "
                f"| {verdict(row['as_fast'])} | {verdict(row['in_range'])} |")
            if not (row["as_fast"] and row["in_range"]):
                why = reasons.get(pair["name"], {}).get(row["setting"], "not yet understood")
                failed.append(f"- {pair['name']}, {row['setting']}: {why}")
    if failed:
        lines += ["", "## What fails", "", *failed]
    return "\n".join(lines) + "\n"


def verdicts_of(text):
    """Of a page: pair and setting with both verdicts, which small changes of rates do not touch."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [(row[0], row[3], row[-2], row[-1]) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pregate")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    pairs = tomllib.loads((HERE / "pairs.toml").read_text())["pair"]
    reasons_file = HERE / "reasons.toml"
    reasons = tomllib.loads(reasons_file.read_text()) if reasons_file.exists() else {}
    pairs = [pair for pair in pairs if options.only in pair["name"]]
    text = page([(pair, *verdicts(options.pregate, pair)) for pair in pairs], reasons)
    if options.only:
        print(text)
        return 0
    if options.write:
        PAGE.write_text(text)
        return 0
    if not PAGE.exists():
        print(f"{PAGE}: not there; check.py PREGATE --write writes it")
        return 1
    known, now = verdicts_of(PAGE.read_text()), verdicts_of(text)
    for before, after in zip(known, now):
        if before != after:
            print(f"{after[0]} {after[1]}: {after[2:]}, the page says {before[2:]}")
    if known != now:
        print("docs/validation/advise.md is not what the program says; look at what changed, then --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
