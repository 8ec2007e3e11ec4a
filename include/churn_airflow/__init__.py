"""What the DAGs share: assets, default arguments, callbacks, the doors to Connections."""
