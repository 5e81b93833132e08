"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from wm_planner.evaluation.verify.section import Section


def page(sections: list[Section], facts: dict) -> str:
    """HTML of the sections; facts: task, checkpoint and so on, in the order shown."""
    loader = PackageLoader("wm_planner.evaluation.verify", "templates")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=select_autoescape())
    return environment.get_template("report.html").render(sections=sections, facts=facts)
