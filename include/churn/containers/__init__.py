"""The system as containers: checked, set up, started, and asked how it is."""
