"""Serve a tree: start it, find in it, change it, stop it, and report how it stopped."""

from supervision.application.application import Application, check_tree, serve, serve_in
from supervision.application.apply import ApplyReport, StepOutcome, StepReport
from supervision.application.diff import ReorderStep, StartStep, Step, StopStep, UpdateStep
from supervision.application.stop_recorder import StopRecorder
from supervision.application.stop_report import StoppedProc, StopReport, write_report

__all__ = [
    "Application",
    "ApplyReport",
    "ReorderStep",
    "StartStep",
    "Step",
    "StepOutcome",
    "StepReport",
    "StopRecorder",
    "StopReport",
    "StopStep",
    "StoppedProc",
    "UpdateStep",
    "check_tree",
    "serve",
    "serve_in",
    "write_report",
]
