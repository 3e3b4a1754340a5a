"""Ladder: the smallest model that holds, found bottom-up over rungs ordered by cost.

Modules in the order of the data: ``rungs`` (what is to be tested, from a file or a command line),
``sizes`` (what a rung costs), ``search`` (which rung is next and what has been found; pure),
``results`` (what is known of a rung), ``state`` (the folder, and going on after an interruption),
``climb`` (the loop), ``answers`` (what may be said across rungs). Sessions, scores and verdicts are
those of the capacity test; nothing here generates, scores or decides a rung of its own.
"""
