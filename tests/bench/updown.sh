#!/bin/sh
# What a user would have instead: charon's updown script for one vti6, with address, MTU and clamp.
# charon sets PLUTO_* (strongSwan, src/_updown/_updown.in); NUMBER, LOCAL and MTU come from here,
# and so do KIND and KEY: vti6 and key, or what stands in for them.
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
interface=vti$NUMBER
case "$PLUTO_VERB" in
up-client-v6)
    ip link add "$interface" mtu "$MTU" type $KIND local "$LOCAL" remote "$PLUTO_PEER" $KEY "$NUMBER"
    ip link set "$interface" alias "updown:$PLUTO_CONNECTION"
    sysctl -qw "net.ipv4.conf.$interface.disable_policy=1" "net.ipv4.conf.$interface.rp_filter=0"
    ip -6 address add "$ADDRESS" dev "$interface" nodad
    ip link set "$interface" up
    nft add element inet vtid mss6_out "{ $interface : $((MTU - 60)) }"
    nft add element inet vtid mss4_out "{ $interface : $((MTU - 40)) }"
    ;;
down-client-v6)
    ip link delete "$interface"
    nft delete element inet vtid mss6_out "{ $interface }"
    nft delete element inet vtid mss4_out "{ $interface }"
    ;;
esac
