"""The measurements of `make bench`: jarvis-trio beside what people would use instead.

`environments` installs the peers, `contestants` says how each is driven, `rows/` has a
module for each thing that is measured, `results` what comes of it, `report` and `chart`
draw it. The programs in `programs/` run in processes of their own, each in the
environment of the package that it drives.
"""
