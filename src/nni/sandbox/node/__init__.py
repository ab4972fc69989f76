"""The nodes: kubelet, volumes, and real processes as containers."""
