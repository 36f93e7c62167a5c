"""Runs a command, and says how long it took, in how much processor time and with how much memory at its peak."""

import resource
import subprocess
import sys
import time

began = time.monotonic()
done = subprocess.run(sys.argv[1:])
took, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{took:.1f} s, of the processor {used.ru_utime + used.ru_stime:.1f} s, peak {used.ru_maxrss / 1024:.0f} MB")
sys.exit(done.returncode)
