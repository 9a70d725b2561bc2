"""Table 2.2 of the thesis on hyper-parameters: draws of a random search among 100 000 configurations. Exact."""

from __future__ import annotations

from documents.report import table, write
from hpo_engine.analysis.random_search import draws_table, probability_within

TOTAL, TOPS, PROBABILITIES = 100_000, (0.01, 0.05, 0.1), (0.5, 0.95, 0.99)
DOCUMENT = ((69, 298, 458), (14, 59, 90), (7, 29, 44))


def main() -> None:
    ours = draws_table(TOTAL, TOPS, PROBABILITIES)
    headings = ["", *(f"p > {p:g}" for p in PROBABILITIES)]
    rows = [
        [f"top {100 * top:g} %", *(f"{n} (document: {d})" for n, d in zip(mine, theirs, strict=True))]
        for top, mine, theirs in zip(TOPS, ours, DOCUMENT, strict=True)
    ]
    agree = "All nine numbers agree." if ours == DOCUMENT else "**The numbers differ.**"
    check = ", ".join(
        f"{n} draws: {probability_within(n, top, TOTAL):.5f}, {n - 1}: {probability_within(n - 1, top, TOTAL):.5f}"
        for top, n in zip(TOPS, (row[2] for row in ours), strict=True)
    )
    words = f"{agree} The chance in the last column, with and without the last draw: {check}."
    write("table_2_2", "Draws of a random search (thesis, Table 2.2)", [table(headings, rows), words], ours)


if __name__ == "__main__":
    main()
