"""Renders the Helm chart to the plain manifests with Helm's own engine.

usage: render.py CHART NAMESPACE [--values FILE] [--lint]

Prints the manifests; --lint prints Helm's findings instead and fails on any but information.
"""

import argparse
import json
import sys

from helm_python import Chart, lint


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("chart")
    parser.add_argument("namespace")
    parser.add_argument("--values", help="JSON file of values")
    parser.add_argument("--lint", action="store_true")
    chosen = parser.parse_args()
    values = {}
    if chosen.values:
        with open(chosen.values, encoding="utf-8") as file:
            values = json.load(file)
    if chosen.lint:
        report = lint(chosen.chart, values, strict=True, namespace=chosen.namespace)
        print(json.dumps(report, indent=1))
        # Severities of Helm: 1 is information.
        return 1 if report.get("errors") or any(m["severity"] > 1 for m in report.get("messages") or []) else 0
    chart = Chart.load(chosen.chart)
    rendered = chart.render(values, name="kube-egress-gateway", namespace=chosen.namespace, is_install=True)
    for name in sorted(rendered):
        text = rendered[name].strip()
        if text and not name.endswith(("NOTES.txt", ".tpl")):
            print("---\n" + text.removeprefix("---").strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
