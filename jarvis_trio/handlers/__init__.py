"""The handlers, one file each. `registry` has them all; who needs one file pays for no other."""
