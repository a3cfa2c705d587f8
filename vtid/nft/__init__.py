"""MSS clamping with nftables."""
