"""The outside world, simulated: another company's code, which knows nothing of the add-on."""
