"""The lab: gateways with real charon, kernel, nftables and BIRD.

host.py      prepares everything on a host and runs a command in the lab
mesh.py      six gateways (`make lab`, `make lab LAB=ipv4`)
pair.py      two gateways (`make lab LAB=pair`)
machine/     where it runs        topology/   what it is made of
checks/      what must hold       report/     what a run has shown
bin/         commands of the shell that `make lab-shell` opens
"""
