"""Executors: where a ladder's rungs are tested, other than in this process.

``worker`` holds sessions on whatever machine it is called; ``ray`` sends them to a Ray cluster.
"""
