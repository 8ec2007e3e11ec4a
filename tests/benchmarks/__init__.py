"""How fast the night is: peers, the product and the limits of its stages, measured side by side in one run."""
