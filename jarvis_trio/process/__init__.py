"""This process on its machine: who it is, its lock, its log, its signals. Nothing here knows trio."""
