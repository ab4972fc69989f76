"""``nnictl experiment export`` and ``import``: results of trials, out of one experiment and into another."""

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from nni import errors
from nni.cli import finding


def add_parser(group: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs to those of ``experiment``."""
    exporting = group.add_parser("export", help="write parameters and metrics of the trials that succeeded")
    finding.add_id(exporting)
    exporting.add_argument("-f", "--filename", metavar="FILE", help="where to; standard output when left out")
    exporting.add_argument("-t", "--type", choices=("json", "csv"), default="json", help="the format (json)")
    exporting.add_argument("-i", "--intermediate", action="store_true", help="with the intermediate results")
    exporting.set_defaults(run=export)
    importing = group.add_parser("import", help="have the tuner learn from results of other experiments")
    finding.add_id(importing)
    importing.add_argument("-f", "--filename", metavar="FILE", required=True, help="JSON, as export writes it")
    importing.set_defaults(run=import_results)


def export(arguments: argparse.Namespace) -> int:
    """Write the results of an experiment."""
    manager = finding.connect(arguments.id)
    results: list[dict[str, Any]] = manager.get("export-data")
    if arguments.intermediate:
        curves: dict[str, list[Any]] = {}
        for one in manager.get("metric-data?type=PERIODICAL"):
            curves.setdefault(one["trialJobId"], []).append(json.loads(json.loads(one["data"])))
        results = [one | {"intermediate": curves.get(one["trialJobId"], [])} for one in results]
    write = _write_csv if arguments.type == "csv" else _write_json
    if arguments.filename is None:
        write(results, sys.stdout)
        return 0
    with Path(arguments.filename).open("w", encoding="utf-8", newline="") as file:
        write(results, file)
    print(f"{len(results)} results are in {arguments.filename}.")
    return 0


def import_results(arguments: argparse.Namespace) -> int:
    """Bring results to an experiment."""
    path = Path(arguments.filename)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise errors.ConfigError([errors.Problem(str(path), f"cannot be read ({error.strerror})")]) from error
    except ValueError as error:
        raise errors.ConfigError([errors.Problem(str(path), f"is not JSON ({error})")]) from error
    finding.connect(arguments.id).post("experiment/import-data", results)
    print(f"The tuner learns from {len(results)} results; those that are not of its search space are passed over.")
    return 0


def _write_json(results: Sequence[Mapping[str, Any]], file: TextIO) -> None:
    json.dump([_strict({**one, "value": json.loads(one["value"])}) for one in results], file, indent=2)
    file.write("\n")


def _strict(value: Any) -> Any:
    """Return a value with text for the numbers that JSON cannot hold; ``import`` reads it back."""
    if isinstance(value, Mapping):
        return {name: _strict(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_strict(one) for one in value]
    return json.dumps(value) if isinstance(value, float) and not math.isfinite(value) else value


def _write_csv(results: Sequence[Mapping[str, Any]], file: TextIO) -> None:
    rows = [dict(_cells(one)) for one in results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(file, columns or ["trialJobId"])
    writer.writeheader()
    writer.writerows(rows)


def _cells(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the cells of a row by their columns: parameters, then the metric, as NNI has them."""
    yield "trialJobId", result["trialJobId"]
    parameters = dict(_flat("", result["parameter"]))
    yield from parameters.items()
    metric = json.loads(result["value"])
    for name, value in _flat("", metric) if isinstance(metric, Mapping) else [("reward", metric)]:
        # A parameter may be called as an objective is.
        yield (f"metric.{name}" if name in parameters else name), _cell(value)
    for name in ("isParetoOptimal", "intermediate"):
        if name in result:
            yield name, _cell(result[name])


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(f"{prefix}{name}.", one)
        else:
            yield f"{prefix}{name}", _cell(one)


def _cell(value: Any) -> Any:
    """Return a value as a cell shows it: text and numbers as they are, everything else as JSON."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)
