"""Reference cycle simulator of one pseudo-channel that host and PIM share (DESIGN.md, sections 6 to 8 and 11)."""
