"""The loads on the endpoint: what they are called, how hard they are, for how long."""

OURS, PEER = "endpoint", "mlflow models serve"
FIXED, SATURATED, LONE = "fixed rate", "saturation", "lone"
RATE, CONNECTIONS, WORKERS = 500.0, 50, 2
SECONDS = {FIXED: 15.0, SATURATED: 20.0, LONE: 3.0}
CALLER = "as the caller sees it"
