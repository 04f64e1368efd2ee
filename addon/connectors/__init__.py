"""One folder for each outside company, and what they share: `http` (calls) and `pace` (limits)."""
