"""Real daemons under fire: `make torture MINUTES=n`, or `python -m tests.laws.torture --minutes n`.

`arena` makes a data folder with tasks of many kinds, `havoc` kills what runs there and
breaks what it can, and `checker` reads the database and the traces afterwards. The
checker shares no code with the program: it has its own SQL and its own arithmetic.
"""
