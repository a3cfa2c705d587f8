"""What is handed out: wheel, sdist, Debian package."""
