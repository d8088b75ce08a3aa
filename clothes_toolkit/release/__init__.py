"""Releases: what belongs to one, and its checksum."""
