"""`python -m churn.containers.check [.env]`: what `make up` asks first. Needs no library, only a Python 3.10."""

import os
import sys
from pathlib import Path

from churn.containers.env_file import require_stack_secrets
from churn.errors import ChurnError

if __name__ == "__main__":
    try:
        require_stack_secrets(Path(sys.argv[1] if len(sys.argv) > 1 else ".env"), os.environ)
    except ChurnError as error:
        sys.exit(f"{error.message}\n{error.next_step}")
