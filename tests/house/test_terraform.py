"""The Terraform files, read as text: what a person meets in them is described, and they set what the code knows."""

import re

from churn.secret_rules import OF_THE_STACK
from churn.settings import PROJECT

TERRAFORM = PROJECT / "terraform"
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str, str]]:
    files = [file for file in TERRAFORM.rglob("*.tf") if ".terraform" not in file.parts]
    return [
        (str(file.relative_to(TERRAFORM)), kind, name, body)
        for file in sorted(files)
        for kind, name, body in BLOCK.findall(file.read_text("utf-8"))
    ]


def test_every_variable_and_output_is_described_and_every_variable_typed():
    found = blocks()
    assert len(found) > 100
    assert [each[:3] for each in found if "  description = " not in each[3]] == []
    assert [each[:3] for each in found if each[1] == "variable" and not re.search(r"^  type +=", each[3], re.M)] == []


def test_every_variable_of_the_composition_is_validated():
    switches = {"write_secrets"}  # true or false says it all
    of_ours = [(name, body) for file, kind, name, body in blocks() if file == "variables.tf" and kind == "variable"]
    assert [name for name, body in of_ours if "validation {" not in body and name not in switches] == []


def test_staging_and_production_set_the_same_variables():
    set_in = {
        name: set(re.findall(r"^(\w+) *=", (TERRAFORM / f"{name}.tfvars").read_text("utf-8"), re.MULTILINE))
        for name in ("staging", "production")
    }
    assert set_in["production"] - set_in["staging"] == {"operator_login"}
    assert set_in["staging"] - set_in["production"] == set()


def test_what_terraform_tells_a_container_is_something_that_the_code_reads():
    known = set(re.findall(r"CHURN_[A-Z_]+", (PROJECT / ".env.example").read_text("utf-8")))
    known |= {secret.variable for secret in OF_THE_STACK}
    told = {
        name
        for file in (TERRAFORM / "modules" / "compute").glob("*.tf")
        for name in re.findall(r"CHURN_[A-Z_]+", file.read_text("utf-8"))
    }
    assert told - known == set()


def test_the_runbook_names_outputs_that_exist():
    outputs = {name for file, kind, name, _ in blocks() if file == "outputs.tf" and kind == "output"}
    used = set(re.findall(r"output(?: -raw)? ([a-z_]+)", (PROJECT / "docs" / "aws.md").read_text("utf-8")))
    assert used
    assert used <= outputs
