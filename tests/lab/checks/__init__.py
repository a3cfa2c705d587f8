"""What must hold, the failures that are brought about, and how both are observed."""
