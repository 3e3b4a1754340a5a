"""Ways to and from other evaluation tools. Reading their logs is the importers' part."""
