"""Use cases: what Kvitt does, over ports and store. Everything concrete comes in through `Services`."""
