"""What `bench/join_cpu.py` measures with: a whole focus apart, and people who dial it and send no media."""
