#!/bin/sh
# A command as a handler: one line for each slot, however often that slot is tried.
#
#   jarvis-trio add disk-ledger --every 1h --retries 2 -- /path/to/examples/ledger.sh /home/you/disk-ledger.txt
#
# The daemon says which slot and which attempt this is:
#   JARVIS_TASK           the task's name
#   JARVIS_SCHEDULED_FOR  the slot's time in UTC, the same text at each attempt
#   JARVIS_ATTEMPT        1, 2, 3 ...
set -eu
ledger=${1:?give the file to write to}

# A first attempt that died may have written its line, or not: only the ledger knows.
if [ "$JARVIS_ATTEMPT" -gt 1 ] && grep -q "^$JARVIS_SCHEDULED_FOR " "$ledger"; then
  echo "attempt $JARVIS_ATTEMPT: the line is there already"
  exit 0
fi

free=$(df -kP / | awk 'NR == 2 { print $4 }')
echo "$JARVIS_SCHEDULED_FOR $free KiB free" >> "$ledger"
echo "$free KiB free" # the last line of the output is what `history` shows; exit 1 would be an error
