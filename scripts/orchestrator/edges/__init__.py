"""One outside thing each: files, processes, templates."""
