"""fastdl fit and fastdl predict: a linear model of the columns of a table, and its values for another table."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdl.cli._cluster import add_scheduler
from fastdl.cli._parser import Commands
from fastdl.cli._progress import ProgressBar

if TYPE_CHECKING:
    from fastdl._typing import Array
    from fastdl.files.table_model import TableModel
    from fastdl.files.tables import Table


def register(commands: Commands) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a linear model under |y - f(x)|^p to the columns of a table",
        examples=(
            "fastdl fit houses.csv -o model.json --target price --p 1",
            "fastdl fit curve.csv -o model.json --degree auto --plot curve.png",
        ),
        description="Fits f(x) = <w, x> + b on the training part of a table's rows, says how it does on all parts and "
        "how far from the least loss it can be at most, and writes the model as JSON, which predict and "
        "fastdl.files.TableModel read. Reads .csv, .tsv, .txt (.gz), .parquet, .arrow, .npy and .npz by blocks; "
        "a column of text becomes columns of 0 and 1.",
    )
    fit.add_argument("table", type=Path, help="the table")
    fit.add_argument("-o", "--output", required=True, type=Path, metavar="M.json", help="the model to write")
    fit.add_argument("--target", metavar="COLUMN", help="what is fitted (default: y, or the last column)")
    fit.add_argument("--features", metavar="A,B,...", help="columns of x (default: all others)")
    fit.add_argument("--weights", metavar="COLUMN", help="the weight of each row (default: weight where .npz has it)")
    fit.add_argument("--p", type=float, default=2.0, metavar="P", help="the power, above 0 (default: %(default)g)")
    fit.add_argument(
        "--degree",
        default="1",
        metavar="N",
        help="also the powers and products of columns up to this degree; auto: the one with the least loss in "
        "cross-validation outside the test part (default: %(default)s)",
    )
    fit.add_argument("--method", default="auto", help="as in fit_lp (default: %(default)s)")
    fit.add_argument(
        "--split", default="70/20/10", metavar="A/B/C", help="training, validation, test (default: %(default)s)"
    )
    fit.add_argument("--seed", type=int, default=0, metavar="N", help="of the split and the methods (default: 0)")
    fit.add_argument(
        "--missing",
        choices=("error", "drop", "mean"),
        default="error",
        help="rows with missing cells: refused, left out, or with the column's mean (default: %(default)s)",
    )
    _add_dialect(fit)
    fit.add_argument("--plot", type=Path, metavar="F.png", help="a picture of the predictions (or .svg, .pdf)")
    fit.add_argument("--threads", type=int, metavar="N", help="default: the processors this process has")
    add_scheduler(fit)
    fit.add_argument("--overwrite", action="store_true", help="replace files that are there")
    fit.add_argument("--quiet", action="store_true", help="print errors only")
    fit.set_defaults(run=run_fit)

    predict = commands.add_parser(
        "predict",
        help="the values of a model that fit wrote, for the rows of a table",
        examples=("fastdl predict model.json new-houses.csv -o prices.npy",),
    )
    predict.add_argument("model", type=Path, help="what fit wrote")
    predict.add_argument("table", type=Path, help="a table with the same columns")
    predict.add_argument(
        "-o", "--output", required=True, type=Path, metavar="P.npy", help="the values: .npy, .csv or .parquet"
    )
    _add_dialect(predict)
    add_scheduler(predict)
    predict.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    predict.add_argument("--quiet", action="store_true", help="print errors only")
    predict.set_defaults(run=run_predict)


def _add_dialect(command: argparse.ArgumentParser) -> None:
    command.add_argument("--delimiter", metavar="C", help="what parts the columns of text (default: guessed)")
    command.add_argument("--decimal", choices=(".", ","), help="the decimal point (default: guessed)")
    command.add_argument("--header", choices=("yes", "no"), help="whether the first line of text has the names")


def run_fit(options: argparse.Namespace) -> int:
    from fastdl import _check
    from fastdl.cli import _table_sections
    from fastdl.cli._sources import check_output

    _check.number("--p", options.p, 0, above=True)
    _degree(options.degree)
    _ratios(options.split)
    if options.output.is_dir():
        options.output = options.output / f"{options.table.stem}.json"
    reads, writes = [options.table], [options.output]
    check_output(options.output, (".json", ""), reads=reads, overwrite=options.overwrite)
    if options.plot is not None:
        reads.append(options.output)
        check_output(options.plot, (".png", ".svg", ".pdf"), reads=reads, overwrite=options.overwrite, option="--plot")
        _check.extra("matplotlib", "report", "--plot")
        writes.append(options.plot)
    told = _table_sections.run_sections(fit_table, options, "row", writes)
    if not options.quiet:
        print(told)
    return 0


def fit_table(options: argparse.Namespace, progress: ProgressBar) -> str:
    """Read the table, fit, write the model and the plot."""
    from fastdl import _threads
    from fastdl.cli import _table_parts, _table_sections
    from fastdl.files.atomic import replacing, replacing_together

    source = _table_sections.TableSource.of(options)
    table = source.open()
    roles = _table_parts.roles(table, options.features, options.target, options.weights)
    with _table_parts.Parts(table, roles, _ratios(options.split), options.seed, options.missing) as parts:
        parts.read(source, progress)
        seconds = progress.seconds
        settings = {"method": options.method, "seed": options.seed, "threads": _threads.count(options.threads)}
        model = _table_parts.fit_model(parts, options.p, _degree(options.degree), settings)
        if options.plot is None:
            with replacing(options.output) as file:
                file.write(model.text().encode())
        else:
            with replacing_together(options.plot, options.output) as (picture, file):
                _table_parts.save_plot(parts, model, picture, options.plot)
                file.write(model.text().encode())
        told = [model.summary()]
        if parts.dropped:
            told.append(f"{parts.dropped} rows with missing values were left out")
        took = progress.seconds - seconds
        told.append(f"read in {seconds:.2f} s, fitted in {took:.2f} s; wrote {options.output}")
        return "\n".join(told)


def run_predict(options: argparse.Namespace) -> int:
    from fastdl.cli import _table_sections
    from fastdl.cli._sources import check_output

    formats, reads = (".npy", ".csv", ".parquet"), [options.model, options.table]
    check_output(options.output, formats, reads=reads, overwrite=options.overwrite)
    told = _table_sections.run_sections(predict_table, options, "row", [options.output])
    if not options.quiet:
        print(told)
    return 0


def predict_table(options: argparse.Namespace, progress: ProgressBar) -> str:
    """Write the model's value for every row of the table."""
    import numpy as np

    from fastdl.cli import _table_sections
    from fastdl.cli._table_values import writer_of
    from fastdl.files.atomic import replacing
    from fastdl.files.table_model import TableModel

    model, source = TableModel.read(options.model), _table_sections.TableSource.of(options)
    table = source.open()
    model.check_columns(table)
    bad: list[int] = []
    rows = 0
    with replacing(options.output) as file:
        writer = writer_of(options.output.suffix.lower(), file, f"predicted {model.target}")

        def take(values: Array) -> int:
            nonlocal rows
            if len(bad) < 10:
                bad.extend((rows + np.flatnonzero(~np.isfinite(values))).tolist())
            rows += len(values)
            writer.write(values)
            return len(values)

        _table_sections.run_parts(source, model.features, partial(_values, model), take, progress)
        writer.finish()
    told = [f"{rows} values of {model.target} in {progress.seconds:.2f} s; wrote {options.output}"]
    if bad:
        some = ", ".join(f"{k} (line {table.place(k)['line']})" if table.text else str(k) for k in bad[:10])
        told.append(f"not finite, as a feature is missing or not finite: row {some}{', ...' if len(bad) > 10 else ''}")
    return "\n".join(told)


def _values(model: TableModel, table: Table, columns: list[Any]) -> Array:
    return model.values(columns)


def _degree(text: str) -> int | None:
    """The degree; None for auto."""
    from fastdl import _check

    if text == "auto":
        return None
    if not text.isdecimal() or text == "0":
        raise _check.InputError(f"--degree must be a number from 1 on, or auto, got {text!r}")
    return int(text)


def _ratios(text: str) -> list[float]:
    from fastdl import _check

    try:
        ratios = [float(part) for part in text.split("/")]
    except ValueError:
        ratios = []
    if len(ratios) != 3 or not ratios[0] > 0:
        raise _check.InputError(f"--split must be three numbers like 70/20/10, the first above 0, got {text!r}")
    return ratios
