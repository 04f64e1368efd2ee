"""What Kvitt knows of money and bookkeeping: pure values and decisions, the standard library only."""
