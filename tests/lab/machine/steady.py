"""Holds the kernel's key of timestamps for as long as the lab's machine runs; it does nothing else.

Every tcpdump patches `netstamp_needed_key` when it begins and ends, and an emulated kernel can
panic over that. A socket with SO_TIMESTAMP that stays open keeps the key as it is.
"""

import signal
from socket import AF_PACKET, SOCK_RAW, SOL_SOCKET, socket

SO_TIMESTAMP = 29
"""asm-generic/socket.h."""

if __name__ == "__main__":
    holder = socket(AF_PACKET, SOCK_RAW)
    holder.setsockopt(SOL_SOCKET, SO_TIMESTAMP, 1)
    signal.pause()
