"""The figures as Markdown (the terminal shows that too), as a plot (SVG, written by hand) and as JSON."""

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from bench.results import Results, Spread
from bench.workload import Measure

WIDTH, LEFT, RIGHT, ROW = 760, 130, 190, 20
INK, FAINT, OURS, GOAL = "#333", "#ddd", "#c2410c", "#15803d"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as an aligned Markdown table; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    heading, *rest = [" | ".join(map(str.ljust, row, widths)) for row in rows]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in (heading, rule, *rest))


def section(results: Results) -> str:
    """One workload: its table, and below it why a tool is not in it."""
    measures = results.workload.measures
    rows = [["tool", "rounds", *(measure.title for measure in measures)]]
    for tool, rounds in results.rounds.items():
        spreads = [results.spread(tool, measure) for measure in measures]
        cells = [
            spread.text(measure.digits) if spread else "-"
            for spread, measure in zip(spreads, measures, strict=True)
        ]
        rows.append([tool, str(len(rounds)), *cells])
    notes = [f"- {tool}: {reason}" for tool, reason in results.reasons.items()]
    return "\n".join([f"## {results.workload.title}", "", table(rows), *([""] if notes else []), *notes, ""])


def goals(everything: Iterable[Results]) -> str:
    """What the issue asks of devport beside what it did; empty when devport was not measured."""
    rows = [["workload", "figure", "goal", "devport", ""]]
    for results in everything:
        for measure in results.workload.measures:
            spread = results.spread("devport", measure)
            if spread and measure.goal is not None:
                verdict = "met" if measure.met(spread.median) else "MISSED"
                cell = spread.text(measure.digits)
                rows.append([results.workload.name, measure.title, measure.goal_text(), cell, verdict])
    return f"## devport and its goals\n\n{table(rows)}\n" if len(rows) > 1 else ""


def markdown(everything: Sequence[Results], versions: Mapping[str, str]) -> str:
    """The whole report."""
    tools = ", ".join(f"{tool} {version}" for tool, version in versions.items())
    head = (
        f"# devport beside its peers\n\n{os.cpu_count()} cores, {platform.platform()}, Python "
        f"{platform.python_version()}. Median (least-most) of interleaved rounds.\n\n{tools}\n"
    )
    return "\n".join([head, *map(section, everything), goals(everything)])


def plot(everything: Iterable[Results]) -> str:
    """A panel per figure: a dot at the median, a line from least to most, the goal dashed; log axes."""
    parts: list[str] = []
    top = 10
    for results in everything:
        for measure in results.workload.measures:
            spreads = {tool: results.spread(tool, measure) for tool in results.rounds}
            known = {tool: spread for tool, spread in spreads.items() if spread and spread.median > 0}
            if known:
                parts += panel(top, f"{results.workload.title}: {measure.title}", measure, known)
                top += 60 + ROW * len(known)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" font-size="12"'
    opening = f'{head} font-family="sans-serif" fill="{INK}"><rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([opening, *parts, "</svg>\n"])


def panel(top: int, title: str, measure: Measure, spreads: Mapping[str, Spread]) -> list[str]:
    """One figure of one workload, a row per tool."""
    goal = [measure.goal] if measure.goal else []
    # A least of zero has no place on a logarithmic axis; its line starts at the axis.
    values = [value for spread in spreads.values() for value in (spread.least, spread.most) if value > 0]
    low = math.floor(math.log10(min(values + goal)))
    high = max(math.ceil(math.log10(max(values + goal))), low + 1)

    def x(value: float) -> str:
        share = (math.log10(value) - low) / (high - low) if value > 0 else 0
        return f"{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}"

    bottom = top + 28 + ROW * len(spreads)
    parts = [f'<text x="4" y="{top + 14}" font-weight="bold">{escape(title)}</text>']
    for power in range(low, high + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at} {top + 24}V{bottom}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 13}" text-anchor="middle">{10.0**power:g}</text>')
    for value in goal:
        path = f"M{x(value)} {top + 24}V{bottom}"
        parts.append(f'<path d="{path}" stroke="{GOAL}" stroke-width="1.5" stroke-dasharray="4 3"/>')
    for row, (tool, spread) in enumerate(spreads.items()):
        y = top + 28 + ROW * row + ROW // 2
        colour = OURS if tool == "devport" else INK
        path = f"M{x(spread.least)} {y}H{x(spread.most)}"
        text = spread.text(measure.digits)
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="{colour}">{escape(tool)}</text>',
            f'<path d="{path}" stroke="{colour}" stroke-width="3" stroke-opacity=".4"/>',
            f'<circle cx="{x(spread.median)}" cy="{y}" r="4" fill="{colour}"/>',
            f'<text x="{WIDTH - RIGHT + 14}" y="{y + 4}" fill="{colour}">{text}</text>',
        ]
    return parts


def save(folder: str, everything: Sequence[Results], versions: Mapping[str, str]) -> None:
    """Write table.md, plot.svg and raw.json."""
    raw = {results.workload.name: {**results.rounds, "reasons": results.reasons} for results in everything}
    files = {
        "table.md": markdown(everything, versions),
        "plot.svg": plot(everything),
        "raw.json": json.dumps({"versions": versions, "results": raw}, indent=1),
    }
    os.makedirs(folder, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
