#!/bin/sh
# Every command of the fake phone: notes how it was called in $FAKE/log, and prints $FAKE/NAME.
name=${0##*/}
line=$name
for argument; do line="$line	$argument"; done
[ "$name" != termux-sms-send ] || line="$line	<$(cat)"
# A dial changes what the calls do before anybody can look.
if [ "$name" = termux-telephony-call ] && [ -e "$FAKE/on-dial" ]; then mv "$FAKE/on-dial" "$FAKE/dumpsys"; fi
printf '%s\n' "$line" >> "$FAKE/log"
while [ -e "$FAKE/hang.$name" ]; do sleep 1; done
[ ! -e "$FAKE/$name" ] || cat "$FAKE/$name"
