"""The sidecar: builds the images on this host, and tries them in pods in a machine of their own.

host.py     images and machine (`make sidecar`)
trial.py    runs in the machine: two pods, a tunnel, BGP, a ping, and restarts under it
"""
