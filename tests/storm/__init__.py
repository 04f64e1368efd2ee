"""The kill storm: everything that Kvitt is made of dies by SIGKILL, again and again, while a shop sells and the
outside world fails at random. When the dust settles each document stands once and books and provider agree.

    python -m tests.storm --seed 1 --kills 200 --sales 1000        (make storm)

Real PostgreSQL, real Redis, real gunicorn, workers and clock, each a process of its own. The world outside lives in the
storm's own process, which nobody kills, as nobody kills Fortnox when a machine of ours dies.

What a seed decides is always the same: what is sold, who dies when so and so many calls have been made, which calls
fail and how. What that hits depends on the machine's scheduling.
"""
