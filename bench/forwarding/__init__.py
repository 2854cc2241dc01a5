"""What `bench/packet.py` measures with: an engine apart, one camera, many viewers, a bare loop. It judges nothing."""
