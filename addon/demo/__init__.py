"""`kvitt demo`: the whole world on this machine, and the main job done in front of the user.

Everything is a child process, as in real use: the simulated outside world, Redis, the pages, workers, the clock.
The demo itself sits before it like a person: it drives the pages over HTTP, form by form, with a browser of its own.
Afterwards it reads the simulated companies' real books and checks every law that can be checked from outside.
"""

from addon.demo.main import run_demo

__all__ = ["run_demo"]
