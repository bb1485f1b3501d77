"""One agent CLI each: build its command, read what it wrote; both pure."""
