"""Measure the runtime against hand-written asyncio, on every event loop.

Run it with ``python -m tests.benchmarks``; it is no part of the default test run.
Each workload is paired with the plainest asyncio program that does the same work,
both are measured in the same process in turn, and the result is a ratio: above 1
means that the actors were faster (or smaller) than the hand-written program.

The modules, from the ground up: `loops` (which event loop), `figures` (statistics),
`messages` (what is sent), `baselines_messaging`, `baselines_lifecycle` and
`baselines_trio` (hand-written programs), `messaging`, `lifecycle`, `supervised` and
`memory` (the workloads), `results` (values and JSON), `targets`, `harness` (rounds and
pairs), `catalog` (what is measured against what), `tables`, `report`, `comparison`, `plot` and
`plot_studies` (what a person sees).

What is no pair is a study, and runs when it is asked for (`studies`): `scaling` and
`scaling_trees` (curves instead of points), `load` (fairness under a flood), `idle` (wake-ups),
`silence` (events that nobody hears) and `peering` (other libraries, by the scripts in `peers/`).

>>> from tests.benchmarks.figures import Spread
>>> Spread.of([3.0, 1.0, 2.0])
Spread(median=2.0, lowest=1.0, highest=3.0)
"""
