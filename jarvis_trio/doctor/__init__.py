"""What is wrong with a set-up, and the fix: small checks of one thing each that change nothing.

Each check is handed what it looks at and returns findings; `jarvis-trio doctor` puts
them together. An error of ours that a check meets is a finding too (`guarded`).
"""
