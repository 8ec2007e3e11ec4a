"""The rules of the house that a machine can hold."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from churn.cli import app
from churn.columns import COLUMNS, KEY
from churn.settings import PROJECT, Settings

DAG_FILES = sorted((PROJECT / "dags").glob("*.py"))
LIBRARIES_OF_DATA = {
    "pandas", "numpy", "sklearn", "sqlalchemy", "mlflow", "psycopg", "great_expectations", "evidently", "lightgbm",
}  # fmt: skip
FIRST_MIGRATION = PROJECT / "include/churn/db/migrations/versions/0001_first_tables.sql"


def _own_files(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [PROJECT / name for name in listed if name.endswith(suffixes) and (PROJECT / name).is_file()]


def _commands(group: typer.core.TyperGroup, path: str = "churn") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, command in group.commands.items():
        found += _commands(command, f"{path} {name}") if hasattr(command, "commands") else [(f"{path} {name}", command)]
    return found


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.stem)
def test_a_dag_file_is_wiring_only(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if not isinstance(node, ast.ImportFrom) or node.module
    }
    assert not imported & LIBRARIES_OF_DATA
    assert len(file.read_text("utf-8").splitlines()) <= 100


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_example_and_in_the_docs(name: str) -> None:
    variable = f"CHURN_{name.upper()}"
    assert variable in (PROJECT / ".env.example").read_text("utf-8")
    assert variable in (PROJECT / "docs/configuration.md").read_text("utf-8")


def test_every_policy_value_is_in_the_docs() -> None:
    from churn.policy import Policy

    docs = (PROJECT / "docs/configuration.md").read_text("utf-8")
    missing = [name for name, field in Policy.model_fields.items() if f"| `{name}` | {field.default} |" not in docs]
    assert missing == []


def test_every_command_says_what_it_does() -> None:
    group = get_command(app)
    commands = _commands(group)  # type: ignore[arg-type]
    assert len(commands) > 10
    assert [path for path, command in commands if not command.help] == []  # type: ignore[attr-defined]


def test_the_history_table_has_exactly_the_columns_of_the_contract() -> None:
    table = re.search(r"CREATE TABLE churn\.customer_history \((.*?)\n\)", FIRST_MIGRATION.read_text("utf-8"), re.S)
    assert table
    names = re.findall(r"^    ([a-z_]+) ", table[1], re.M)
    assert names == ["extract_id", "snapshot_date", *(column.sql_name for column in COLUMNS)]


def test_the_gx_folder_is_no_python_package() -> None:
    assert not list((PROJECT / "great_expectations").rglob("__init__.py"))


def test_no_file_has_outgrown_its_name() -> None:
    assert [str(file) for file in _own_files(".py") if len(file.read_text("utf-8").splitlines()) > 400] == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty_words = {"utils", "helpers", "common", "misc", "manager", "processor", "handler"}
    assert [str(file) for file in _own_files(".py") if file.stem in empty_words] == []


def test_sql_is_never_built_by_f_string() -> None:
    built = re.compile(r"""(execute|text|SQL)\(\s*f["']""")
    assert [str(f) for f in _own_files(".py") if "tests" not in f.parts and built.search(f.read_text("utf-8"))] == []


def test_no_customer_row_and_no_address_of_a_machine_is_committed() -> None:
    words = re.compile("|".join(["7590-" + "VHVEG", "/ro" + "ot/", r"pypi" + r"\.org/simple"]))
    texts = _own_files(".py", ".md", ".sql", ".txt", ".in", ".yml", ".yaml", ".json", ".toml", ".sh", "Makefile", "run")
    assert [str(file) for file in texts if words.search(file.read_text("utf-8"))] == []


def test_the_layers_of_the_design_are_in_force() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    assert {"layers", "forbidden"} == {contract["type"] for contract in contracts}


def test_the_key_comes_first_in_the_contract() -> None:
    assert COLUMNS[0] is KEY
