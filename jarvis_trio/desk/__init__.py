"""What people ask for, without a terminal: the use cases of the program.

Each face, the command line or another one, opens a `session`, makes a value of `requests`
from what it was told, and calls one of `acts` or `looks`. These return values; they print
nothing, ask nobody, and raise `JarvisError`s that a face can show. `words` has these
values in English, `views` as JSON.
"""
