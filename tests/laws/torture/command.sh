#!/bin/sh
# What the tortured tasks run: it traces what it does, a line a deed, in appends that cannot mix.
#
#   command.sh TRACE BEATS HOW
#
# BEATS lines a tenth of a second apart show for how long it lives. HOW: ok; fail; flaky (fails at the
# first attempt); stubborn (SIGTERM does not end it); litter (leaves a child that goes on tracing);
# loud (prints 200 kB).
trace=$1 beats=$2 how=$3

note() {
    printf '%s %s %s %s %s %s\n' "$JARVIS_TASK" "$JARVIS_SCHEDULED_FOR" "$JARVIS_ATTEMPT" $$ "$1" "$2" >>"$trace"
}

[ "$how" = stubborn ] && trap '' TERM
note start "$(date +%s)"
while [ "$beats" -gt 0 ]; do
    sleep 0.1
    note beat -
    beats=$((beats - 1))
done
[ "$how" = litter ] && while sleep 0.1; do note litter -; done &
[ "$how" = loud ] && head -c 200000 /dev/zero
note end -
case $how$JARVIS_ATTEMPT in fail* | flaky1) exit 1 ;; esac
