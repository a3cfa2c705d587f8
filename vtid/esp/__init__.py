"""ESP: what the words of proposals mean and what the algorithms cost."""
