"""moto's server, and the calls of the AWS provider that moto 5.2 lacks: `.venv-moto/bin/python emulator.py -p PORT`."""

import os
import sys

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")  # AWS's own policies, which RDS and Backup attach

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.server import main

ANSWERS = {"list_tags_for_resource": '{"Tags": {}}', "tag_resource": "{}", "untag_resource": "{}"}

for name, body in ANSWERS.items():
    if not hasattr(ApplicationAutoScalingResponse, name):
        setattr(ApplicationAutoScalingResponse, name, lambda self, body=body: body)

sys.exit(main(sys.argv[1:]))
