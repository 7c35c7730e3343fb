"""`python -m cnnlab.report`: tables and pictures of every sweep below outputs/."""

import io
import sys
from dataclasses import fields
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pydantic.dataclasses import dataclass
from rich import box
from rich.table import Table

from cnnlab import aggregate, plots, record, stats
from cnnlab.faults import FAILED, REFUSED, Refused, nearest, no_such, unknown_key
from cnnlab.limits import CLOSED
from cnnlab.terminal import console, labelled

USAGE = """\
Usage: python -m cnnlab.report [key=value ...]

Makes <outputs>/<sweep>/report/ for each sweep: runs.csv, summary.csv,
curves.png, grid.png, and published.csv where a sweep has published numbers.

Keys:"""


@dataclass(kw_only=True, config=CLOSED)
class Settings:
    """What a report can be asked for."""

    name: str | None = None
    """One sweep; without it, all."""
    metric: str = "best_val_accuracy"
    """What is compared: best_val_accuracy, final_val_accuracy, final_train_accuracy,
    final_train_loss or test_accuracy."""
    outputs: str = "outputs"
    """Folder of all records."""


def report(folder: Path, metric: str) -> tuple[aggregate.Sweep, pd.DataFrame, pd.DataFrame]:
    """Writes the tables and pictures of one sweep into its folder `report`.

    Args:
        folder: of the sweep
        metric: one of `cnnlab.plots.LABELS`

    Returns:
        the sweep, its summary and its published numbers
    """
    sweep = aggregate.read(folder)
    if sweep.runs.empty:
        raise Refused("its plan.json cannot be read, or is empty, and there are no results.")
    summary = stats.summary(sweep.runs, sweep.factors, metric)
    beside = stats.published(sweep.runs, sweep.factors)
    out = folder / "report"
    record.write(out / "runs.csv", sweep.runs.drop(columns="variant").to_csv(index=False))
    record.write(out / "summary.csv", summary.to_csv(index=False, float_format="%.6g"))
    if len(beside):
        table = beside.drop(columns="variant")
        record.write(out / "published.csv", table.to_csv(index=False, float_format="%.6g"))
    note = f"Sweep {sweep.name}, {plots.counted(summary)}"
    found = finding(summary, sweep.factors, metric)
    several = summary["n"].max() > 1
    ranges = "; ±: 95% t interval of the mean" if several else ""
    grid = plots.grid_figure(sweep.runs, summary, sweep.factors, metric, found, note + ranges)
    _save(grid, out / "grid.png")
    bands = "; line: mean, band: all seeds" if several else ""
    found = overfitting(sweep, summary)
    curves = plots.curves_figure(sweep.epochs, summary, sweep.factors, found, note + bands)
    _save(curves, out / "curves.png")
    return sweep, summary, beside


def finding(summary: pd.DataFrame, factors: list[str], metric: str) -> str:
    """What the picture shows, in a line."""
    means = summary["mean"].dropna()
    if means.empty:
        return f"No run has a {plots.LABELS[metric]} yet"
    if len(means) > 1 and means.nunique() == 1:
        return f"Every variant has the same {plots.LABELS[metric]}, {means.iloc[0]:.3f}"
    best = means.idxmin() if metric in stats.LOSSES else means.idxmax()
    value = f"{plots.LABELS[metric]} {means[best]:.3f}"
    if len(summary) == 1:
        return value.capitalize()
    direction = "Lowest" if metric in stats.LOSSES else "Highest"
    if summary["n"].max() > 1:
        direction += " mean"
    row = summary.to_dict("index")[best]
    return f"{direction} with {plots.described(row, factors)}: {value}"


def overfitting(sweep: aggregate.Sweep, summary: pd.DataFrame) -> str:
    """What the curves show, in a line: the widest gap between training and validation."""
    done = sweep.runs[sweep.runs["status"] == "done"]
    if done.empty:
        return "No run is done yet"
    gap = (done["final_train_accuracy"] - done["final_val_accuracy"]).astype(float)
    gaps = gap.groupby(done["variant"]).mean()
    widest = gaps.idxmax()
    if gaps[widest] < 0.02:
        return "Validation keeps up with training in every variant"
    where = plots.described(summary.to_dict("index")[widest], sweep.factors)
    return f"Training ends {100 * gaps[widest]:.0f} points above validation" + (
        f" at most, with {where}" if len(summary) > 1 else ""
    )


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    record.write(path, buffer.getvalue())


# --- the terminal


def show(sweep: aggregate.Sweep, summary: pd.DataFrame, beside: pd.DataFrame, metric: str) -> None:
    """Prints the summary, and the published numbers beside ours."""
    several = summary["n"].max() > 1
    table = _table(f"{sweep.name}: {plots.LABELS[metric]}")
    for name in sweep.factors:
        table.add_column(name, overflow="fold")
    troubles = [name for name in ("failed", "diverged", "pending") if summary[name].any()]
    numbers = ("mean", "95% interval", "best") if several else ("value",)
    for name in ("n", *troubles, *numbers, "s/run"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary.to_dict("records"):
        interval = f"{row['ci_low']:.4f} {row['ci_high']:.4f}" if row["n"] > 1 else "-"
        found = (_number(row["mean"]), interval, _number(row["best"]))
        table.add_row(
            *(str(row[name]) for name in (*sweep.factors, "n", *troubles)),
            *(found if several else found[:1]),
            _number(row["seconds"], 1),
        )
    console.print(table)
    troubled = sweep.runs[sweep.runs["status"].isin(["failed", "diverged", "unreadable"])]
    for run in troubled.to_dict("records"):
        reason = run["error"] or "result.json cannot be read"
        console.print(f"{run['status'].capitalize()}: {run['directory']}: {reason}", markup=False)
    if len(beside):
        _show_published(sweep, beside)
    if summary["n"].max() == 1:
        console.print("One seed a variant: no verdict. Add seeds, e.g. seeds=5.")


def _show_published(sweep: aggregate.Sweep, beside: pd.DataFrame) -> None:
    table = _table(f"{sweep.name}: published | measured")
    table.add_column("variant", overflow="fold")
    metrics = list(dict.fromkeys(beside["metric"]))
    for metric in metrics:
        table.add_column(plots.LABELS[metric].removesuffix(" (nats)"), justify="right")
    for _, rows in beside.groupby("variant"):
        of = rows.set_index("metric")
        cells = [
            f"{_number(of.at[metric, 'published'])} | {_number(of.at[metric, 'measured'])}"
            if metric in of.index
            else ""
            for metric in metrics
        ]
        table.add_row(plots.described(rows.to_dict("records")[0], sweep.factors), *cells)
    console.print(table)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _number(value: float, digits: int = 4) -> str:
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


# --- the command


def settings(arguments: list[str]) -> Settings:
    """Reads `key=value` arguments.

    Raises:
        Refused: with every argument that cannot be used
    """
    keys = [f.name for f in fields(Settings)]
    given, faults = {}, []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            faults.append(f"{argument}: write key=value; the keys are {', '.join(keys)}.")
        elif key not in keys:
            faults.append(unknown_key(key, keys))
        else:
            given[key] = value
    metric = given.get("metric")
    if metric is not None and metric not in plots.LABELS:
        faults.append(no_such("metric", metric, list(plots.LABELS)))
    if faults:
        raise Refused(faults)
    return Settings(**given)


def main(arguments: list[str] | None = None) -> None:
    """Reports the sweeps that are asked for; exits with 2 where there are none."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        keys = Settings.__pydantic_fields__.items()
        lines = [row for key, f in keys for row in labelled(f"  {key:9}", f.description)]
        print("\n".join([USAGE, *lines]))
        return
    try:
        _report_all(settings(arguments))
    except Refused as refused:
        print(refused, file=sys.stderr)
        raise SystemExit(REFUSED) from None


def _report_all(asked: Settings) -> None:
    outputs = Path(asked.outputs).expanduser()
    found = aggregate.folders(outputs)
    names = [folder.name for folder in found]
    if not found:
        raise Refused(
            f"No sweep below {outputs}. Train one: python -m cnnlab.run -m norm=bn,none lr=0.01,0.1"
        )
    if asked.name is not None and asked.name not in names:
        raise Refused(
            f"name={asked.name}: no such sweep below {outputs}.{nearest(asked.name, names)} "
            f"There are: {', '.join(names)}."
        )
    failed = False
    for folder in found:
        if asked.name not in (None, folder.name):
            continue
        try:
            show(*report(folder, asked.metric), asked.metric)
            console.print(f"Tables and pictures: {folder / 'report'}\n", markup=False)
        except (Refused, OSError) as error:  # of this sweep; the others are reported all the same
            failed = True
            console.print(f"{folder.name}: cannot be reported: {error}\n", markup=False)
    if failed:
        raise SystemExit(FAILED)


if __name__ == "__main__":
    main()
