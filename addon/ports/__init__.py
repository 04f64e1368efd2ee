"""What Kvitt asks of a payment source and of an accounting system, and the errors those may raise."""
