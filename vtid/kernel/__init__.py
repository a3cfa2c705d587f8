"""The kernel over rtnetlink."""
