"""An existing application's own handlers under our engine: one child process for each run."""
