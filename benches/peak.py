"""Runs a command, says how long it took, in how much processor time and with how much memory at its peak, and fails where that is
more than it may be: `peak.py SECONDS MB COMMAND…`."""

import resource
import subprocess
import sys
import time

most_seconds, most_mb = float(sys.argv[1]), float(sys.argv[2])
began = time.monotonic()
done = subprocess.run(sys.argv[3:])
took, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss / 1024
print(f"{took:.1f} s (goal: at most {most_seconds:g}), of the processor {used.ru_utime + used.ru_stime:.1f} s, "
      f"peak {peak:.0f} MB (goal: at most {most_mb:g})")
sys.exit(done.returncode or took > most_seconds or peak > most_mb)
