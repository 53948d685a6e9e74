"""What the operator's book says of how a request was decided."""

from __future__ import annotations

from gridsignal_services.cli.detail import how_decided


def test_a_solver_is_spoken_of_where_it_had_an_answer() -> None:
    clearings = [
        {"algorithm": "merit-order", "gap": None},
        {"algorithm": "merit-order", "gap": "0.0123"},
        {"algorithm": "mixed-integer", "gap": "0"},
    ]
    assert list(how_decided(clearings)) == [
        "clearing 2: chosen in merit order; others may be up to 1.23% cheaper together",
        "clearing 3: chosen by a solver, and nothing is cheaper",
    ]
