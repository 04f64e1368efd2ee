"""What Kvitt costs: calls at the accounting system, counted by the simulated one, and time, as ratios and rates."""
