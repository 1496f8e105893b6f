"""This process on its machine: its identity, lock, log and signals. Nothing here knows trio."""
