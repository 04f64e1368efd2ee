"""What simulated companies of one kind have in common: a door where faults strike, requests that come late, a look."""
