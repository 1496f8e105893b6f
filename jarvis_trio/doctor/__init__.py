"""What is wrong with a set-up, and the fix: small checks that look at one thing each and change nothing.

Each check is handed what it looks at and returns findings; `jarvis-trio doctor` puts
them together. An error of ours that a check meets is a finding too (`guarded`).
"""
