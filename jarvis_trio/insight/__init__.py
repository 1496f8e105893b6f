"""Answers about the past and the future, from reading alone: nothing here writes."""
