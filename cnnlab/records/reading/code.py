"""What a report says of the code that its runs were trained by, where that is not one for all."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from cnnlab.core.formats import few
from cnnlab.records.reading.tables import Run
from cnnlab.records.sources import changed

Sources = Mapping[str, str]


def notices(runs: Sequence[Run], table: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """A sentence for each way in which code differs within variants, and between them.

    Args:
        runs: with their records
        table: of the runs, as `cnnlab.records.reading.tables.tables` gives it
        factors: its columns
    """
    places = dict(zip(table["run_id"], table["variant"], strict=True))
    rows = table.drop_duplicates("variant").set_index("variant")[list(factors)]
    names = {
        variant: ", ".join(f"{key}={value}" for key, value in row.items()) or "the only variant"
        for variant, row in rows.to_dict("index").items()
    }
    finished = [run for run in runs if run.found.finished]
    codes: dict[str, dict[str, Sources]] = {name: {} for name in names.values()}
    for run in finished:
        if run.found.sources:
            codes[names[places[run.run_id]]][run.found.values["code"]] = run.found.sources
    unknown = sum(not run.found.sources for run in finished)
    said = [*_within(codes), *_between(codes)]
    if unknown:
        said.append(f"Code unknown: {unknown:,} of {len(finished):,} runs, of an older version.")
    return said


def _within(codes: Mapping[str, Mapping[str, Sources]]) -> Iterator[str]:
    """Of variants whose runs were trained by several codes."""
    pooled: dict[str, list[str]] = defaultdict(list)
    for variant, several in codes.items():
        first, *others = [*several.values()] or [{}]
        files = {name for other in others for name in changed(first, other)}
        if files:
            pooled[", ".join(sorted(files))].append(variant)
    for files, variants in pooled.items():
        yield (
            f"Different code ({files}) within one variant: {few(variants)}. The sweep's "
            "command trains the outdated runs anew."
        )


def _between(codes: Mapping[str, Mapping[str, Sources]]) -> Iterator[str]:
    """Of files whose code was another for one variant than for the next."""
    versions: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for variant, several in codes.items():
        if len(several) == 1:
            for name, digest in next(iter(several.values())).items():
                versions[name][digest].append(variant)
    sides: dict[str, list[str]] = defaultdict(list)
    for name, variants in versions.items():
        if len(variants) > 1:
            sides[" against ".join(map(few, variants.values()))].append(name)
    for side, names in sides.items():
        yield (
            f"Different code ({', '.join(sorted(names))}) between variants: {side}. What sets them "
            "apart may be that."
        )
