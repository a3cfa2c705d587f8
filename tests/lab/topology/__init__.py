"""What the lab is made of: gateways, addresses, links, and the configuration of each daemon."""
