"""Write the dashboards of include/grafana/dashboards."""

import json
from pathlib import Path

from churn_grafana import api, business, model, operations

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
DASHBOARDS = (operations.OPERATIONS, model.MODEL, business.BUSINESS, api.API)


def written() -> dict[str, str]:
    """The text of each file by its name."""
    return {
        f"{dashboard.title.lower()}.json": json.dumps(dashboard.to_json(), indent=2) + "\n" for dashboard in DASHBOARDS
    }


if __name__ == "__main__":
    for name, text in written().items():
        (FOLDER / name).write_text(text, "utf-8")
